"""Train the runs of an evaluation in children, within the limits of a trial, until all ended."""

import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from hpo.errors import EnvironmentFault
from hpo.files import make_folder, write_json, write_text
from hpo.protocol import TrialEnd, TrialOrder
from hpo.records import config_sha256
from hpo.reseed.planning import RESULT, Outcome, Plan, Run
from hpo.signals import interruptible
from hpo.supervisor import GRACE_S, TICK_S, StopNow, TrialLimits
from hpo.workers import Workers
from lightning_modules.result import Command, Validation
from lightning_modules.running import can_go_on, forget_running


class Watcher(Protocol):
    """Is told how the training of the runs goes on."""

    def planned(self, plan: Plan, waiting: Sequence[Run]) -> None:
        """The runs are known, and which of them have to be trained."""
        ...

    def run_started(self, run: Run) -> None:
        """A run begins, or goes on."""
        ...

    def validated(self, run: Run, validation: Validation) -> None:
        """A run was validated."""
        ...

    def run_ended(self, run: Run, outcome: Outcome) -> None:
        """A run ended, well or not."""
        ...

    def tick(self) -> None:
        """Time goes by."""
        ...


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How runs are trained: as the search trained its trials."""

    place: Path
    """On whose disk they lie."""
    plugins: list[str]
    cache: Path | None
    log: Path | None
    limits: TrialLimits
    retries: int
    """How often a run that the machine killed is started again."""
    min_free_bytes: float
    asked_to_stop: Callable[[], bool]
    """Whether somebody wants it to end from outside, as `hpo stop` does."""


@dataclass(kw_only=True)
class _Attempt:
    run: Run
    started: float = field(default_factory=time.monotonic)


class Training:
    """Trains runs; one that is interrupted keeps its checkpoint and goes on in the next call.

    Args:
        terms: how.
        workers: who trains.
        watcher: told of everything.
    """

    def __init__(self, terms: Terms, *, workers: Workers, watcher: Watcher) -> None:
        self._terms, self._workers, self._watcher = terms, workers, watcher
        self._running: dict[int, _Attempt] = {}
        self._kills: dict[Path, int] = {}
        self._waiting: deque[Run] = deque()
        self._stopped: float | None = None
        self._begun = 0
        self._full = False
        self._asked = False
        self._looked = time.monotonic()

    def train(self, runs: Iterable[Run]) -> int | None:
        """Train all of ``runs``; return the signal that interrupted it, None if none did.

        `hpo stop` counts as a SIGTERM.

        Raises:
            EnvironmentFault: if the disk is full, or nearly so; what has ended is kept.
        """
        self._waiting.extend(runs)
        try:
            with interruptible(self._stop) as received:
                while self._waiting or self._running:
                    self._fill()
                    for end in self._workers.wait(TICK_S):
                        self._end(end)
                    self._enforce()
                    if self._stopped is not None and not self._running:
                        break
        except StopNow:
            self._stopped = self._stopped or time.monotonic()
        finally:
            self._workers.close()
        if self._full:
            what = "the disk is full, or nearly so (search.min_free_gb); what has ended is kept"
            raise EnvironmentFault(
                str(self._terms.place), what, "free space, then run the same command again"
            )
        return received[0] if received else signal.SIGTERM if self._asked else None

    def validated(self, number: int, validation: Validation) -> Command:
        """Take a report of a run, and answer it."""
        self._watcher.validated(self._running[number].run, validation)
        return self.batch_ended()

    def batch_ended(self) -> Command:
        """Answer a run after a batch."""
        self._tick()
        return Command.CONTINUE if self._stopped is None else Command.ABANDON

    def _tick(self) -> None:
        self._watcher.tick()
        if self._stopped is None and time.monotonic() - self._looked > TICK_S:
            self._looked = time.monotonic()
            self._asked = self._terms.asked_to_stop()
            if self._asked:
                self._stop()

    def _stop(self) -> None:
        self._stopped = time.monotonic()

    def _fill(self) -> None:
        """Start as many runs as there is room for."""
        free = self._workers.capacity - len(self._running)
        while free > 0 and self._waiting and self._stopped is None:
            if psutil.disk_usage(str(self._terms.place)).free < self._terms.min_free_bytes:
                self._full = True
                self._stop()
                return
            self._start(self._waiting.popleft())
            free -= 1

    def _start(self, run: Run) -> None:
        if run.folder.exists() and ((run.folder / RESULT).exists() or not can_go_on(run.folder)):
            shutil.rmtree(run.folder)
        make_folder(run.folder)
        number = self._begun
        self._begun += 1
        self._running[number] = _Attempt(run=run)
        self._watcher.run_started(run)
        terms, own = self._terms, self._workers.shares_data
        order = TrialOrder(
            number=number,
            config=run.config.plain(),
            folder=str(run.folder),
            plugins=terms.plugins,
            cache=str(terms.cache) if own and terms.cache else None,
            log=str(terms.log) if own and terms.log else None,
            memory_bytes=terms.limits.memory_bytes,
        )
        self._workers.start(order, _Answers(self, number))

    def _end(self, end: TrialEnd) -> None:
        run = self._running.pop(end.number).run
        if end.reason == "disk":
            self._full = True
            self._stop()
        if end.outcome == "abandoned" or end.reason == "disk":
            return
        if end.outcome == "killed":
            if self._stopped is not None:
                return
            self._kills[run.folder] = self._kills.get(run.folder, 0) + 1
            if self._kills[run.folder] <= self._terms.retries:
                self._waiting.appendleft(run)
                return
        self._record(run, end)

    def _record(self, run: Run, end: TrialEnd) -> None:
        outcome = Outcome(
            schema="hpo.run/1",
            config=run.recorded,
            config_sha256=config_sha256(run.recorded),
            run=end.result,
            failed=None if end.result else f"{end.reason or 'error'}: {end.what}",
            reason=None if end.result else end.reason or "error",
        )
        make_folder(run.folder)
        if end.traceback:
            write_text(run.folder / "traceback.txt", end.traceback)
        write_json(run.folder / RESULT, outcome.plain())
        forget_running(run.folder)
        self._watcher.run_ended(run, outcome)

    def _enforce(self) -> None:
        """End what runs longer, or holds more, than a trial may; and what does not stop."""
        self._tick()
        if self._stopped is not None and self._running:
            self._workers.abandon()
            if time.monotonic() - self._stopped > GRACE_S:
                for number in list(self._running):
                    self._workers.kill(number)
                    self._running.pop(number)
        limits = self._terms.limits
        for number, attempt in list(self._running.items()):
            seconds = time.monotonic() - attempt.started
            if limits.timeout_s is not None and seconds > limits.timeout_s:
                self._kill(number, "timeout", f"ran longer than {limits.timeout_s:g} s")
            elif limits.memory_bytes is not None:
                held = self._workers.resident_bytes(number)
                if held > limits.memory_bytes:
                    self._kill(number, "oom", f"held {held / 1e9:.2f} GB")

    def _kill(self, number: int, reason: str, what: str) -> None:
        self._workers.kill(number)
        end = {"number": number, "outcome": "failed", "reason": reason, "what": what}
        self._end(TrialEnd.model_validate(end))


class _Answers:
    """The listener of one run."""

    def __init__(self, training: Training, number: int) -> None:
        self._training, self._number = training, number

    def validated(self, validation: Validation) -> Command:
        return self._training.validated(self._number, validation)

    def batch_ended(self) -> Command:
        return self._training.batch_ended()
