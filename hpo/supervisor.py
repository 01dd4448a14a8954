"""The supervisor: the only writer of a study. It starts trials, answers them and records them."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from hpo.answers import Answers, SupervisorFailed
from hpo.best_writer import BestWriter
from hpo.files import make_folder
from hpo.layout import StudyFolder
from hpo.outcomes import Attempt, misfit_record, trained_record, twin_record
from hpo.proposals import Misfit, Proposal, Proposals
from hpo.protocol import TrialEnd, TrialOrder
from hpo.recorder import Recorder
from hpo.records import TrialRecord, now_utc
from hpo.room import NoRoom
from hpo.scheduler import Finish, Limits, Scheduler, Start
from hpo.steering.taking import Steering
from hpo.steering.wishes import REQUEST
from hpo.storage.writer import StudyStorage
from hpo.tracking.observers import Observer
from hpo.twins import Twins
from hpo.workers import Workers
from lightning_modules.phases import heard, phase, running, timed
from lightning_modules.result import Command, Validation
from lightning_modules.running import can_go_on
from lightning_modules.task import Direction

TICK_S = 0.5
"""How often limits are looked at while trials run."""
GRACE_S = 3.0
"""How long a trial may take to stop at a batch end before it is killed."""


class StopNow(BaseException):
    """The user pressed Ctrl-C twice."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a supervisor needs to know of its study."""

    folder: StudyFolder
    name: str
    metric: str
    direction: Direction
    plugins: list[str]
    keep_checkpoints: int
    retries: int
    """How often a trial that the machine killed is started again."""
    limits: "TrialLimits"
    min_free_bytes: float
    """No trial is started with less room on the disk."""
    constraints: Mapping[str, float]
    """The most that a network may cost, by the name of what is measured."""
    loggers: Sequence[str] = ()
    """Where trials log to as well, by their names in `hpo.loggers`."""
    began: float
    """When this call began, by the machine's monotonic clock: its preparation takes time too."""


@dataclass(frozen=True, kw_only=True)
class TrialLimits:
    """What one trial may take; None is no limit."""

    timeout_s: float | None = None
    memory_bytes: float | None = None


class Supervisor:
    """Run a study to the end of its budget.

    Args:
        study: its name, folder and objective.
        storage: Optuna's storage of it.
        proposals: where configs come from.
        scheduler: what decides.
        workers: who trains.
        records: trials that ended in earlier calls.
        best: writes the best config.
        twins: trials whose outcome one of an equal config takes; None trains it again.
        steering: takes what other processes ask.
        observers: told of everything.
        time_s: wall-clock time used by earlier calls.
        attempts: how often trials that wait were started.
    """

    def __init__(
        self,
        study: Study,
        *,
        storage: StudyStorage,
        proposals: Proposals,
        scheduler: Scheduler,
        workers: Workers,
        records: Sequence[TrialRecord],
        best: BestWriter,
        twins: Twins | None,
        steering: Steering,
        observers: Sequence[Observer],
        time_s: float,
        attempts: Mapping[int, int],
    ) -> None:
        self._study = study
        self._storage = storage
        self._proposals = proposals
        self._scheduler = scheduler
        self._workers = workers
        self._recorder = Recorder(
            study.folder,
            storage=storage,
            best=best,
            schedule=scheduler,
            records=records,
            keep_checkpoints=study.keep_checkpoints,
        )
        storage.warn = self.warn
        self._twins = twins
        self.steering = steering
        steering.warn, steering.limited = self.warn, self._limited
        self._observers = observers
        self._begun = time.monotonic() - time_s
        self._running: dict[int, Attempt] = {}
        self._attempts = dict(attempts)
        self._told: float | None = None

    def run(self) -> Finish:
        """Start, answer and record trials until the scheduler says that the study ends here."""
        try:
            while True:
                self.steering.tick(self.time_s())
                step = self._scheduler.next(time_s=self._due_s())
                if isinstance(step, Finish):
                    return step
                if isinstance(step, Start) and self._disk_is_full():
                    self._scheduler.halt("disk")
                elif isinstance(step, Start):
                    self._train(step)
                else:
                    self._wait()
        except StopNow:
            self._scheduler.halt("interrupted")
            return Finish("interrupted")
        except SupervisorFailed as error:
            raise error.__cause__ or error from None
        finally:
            self._workers.close()
            for number in list(self._running):
                self._give_back(number)
            with suppress(StopNow), phase("records"):  # what is not written follows from them
                if not isinstance(sys.exception(), NoRoom):
                    self._recorder.close(self.time_s())
                self.steering.settle()

    @property
    def records(self) -> list[TrialRecord]:
        """All trials that have ended, in this order."""
        return self._recorder.records

    def time_s(self) -> float:
        """Return the wall-clock time that the study has used, over all calls, seconds."""
        return time.monotonic() - self._begun

    def _due_s(self) -> float:
        """Return the time that the schedule goes by: ahead by what ending the study may take.

        A twentieth of the limit at most: a trial that hangs is waited for, then all is recorded.
        """
        limit = self._scheduler.limits.time_s
        return self.time_s() + (0.0 if limit is None else min(GRACE_S, 0.05 * limit))

    def interrupt(self) -> None:
        """Let what runs stop at its next batch end, and start nothing more."""
        self._scheduler.halt("interrupted")

    def warn(self, text: str) -> None:
        """Tell everybody; the study goes on."""
        self._tell(lambda observer: observer.warned(text))

    def validated(self, number: int, validation: Validation) -> Command:
        """Take a report of a running trial and answer it."""
        attempt = self._running[number]
        prune = self._report(attempt.proposal, validation.validation, validation.objective)
        self._tell(lambda observer: observer.validated(number, validation, prune=prune))
        command = self._scheduler.validated(prune=prune, time_s=self._due_s())
        return self.steering.answer(number, command)

    def batch_ended(self) -> Command:
        """Answer a running trial after a batch."""
        self.steering.tick(self.time_s())
        self._recorder.tick(self.time_s())
        for observer in self._observers:
            observer.batch_ended()
        return self._scheduler.batch_ended(time_s=self._due_s())

    @timed("records")
    def _tell(self, what: Callable[[Observer], None]) -> None:
        """Tell every observer."""
        for observer in self._observers:
            what(observer)

    def _disk_is_full(self) -> bool:
        """Return whether less is free than a trial should be begun with."""
        return psutil.disk_usage(str(self._study.folder.path)).free < self._study.min_free_bytes

    def _train(self, start: Start) -> None:
        proposal = self._propose(start)
        if isinstance(proposal, Misfit):
            self._finish(misfit_record(self._study.name, proposal), "")
            return
        twin = self._twin_of(proposal)
        if twin is not None:
            self._take_over(proposal, twin)
            return
        with phase("records"):
            self._begin(proposal)
            folder = self._trial_folder(proposal.number)
            self._recorder.begun(proposal)
        own = self._workers.shares_data
        order = TrialOrder(
            number=proposal.number,
            study=self._study.name,
            config=proposal.config.plain(),
            folder=str(folder),
            plugins=self._study.plugins,
            cache=str(self._study.folder.cache) if own else None,
            log=str(self._study.folder.log) if own else None,
            loggers=list(self._study.loggers),
            limits=dict(self._study.constraints),
            memory_bytes=self._study.limits.memory_bytes,
            asked_s=time.monotonic() if own and running() else None,
        )
        with phase("start-up"):
            self._workers.start(order, Answers(self, proposal.number))

    def _wait(self) -> None:
        """Wait for what runs; enforce the limits that a trial does not keep by itself."""
        limit = self._study.limits
        with phase("waiting"):
            ended = self._workers.wait(TICK_S)
        for end in ended:
            self._end(end)
        if self._running and self.batch_ended() is Command.ABANDON:
            self._workers.abandon()
            self._told = self._told or time.monotonic()
            if time.monotonic() - self._told > GRACE_S:
                for number in list(self._running):
                    self._workers.kill(number)
                    self._give_back(number)
        for number, attempt in list(self._running.items()):
            if limit.timeout_s is not None and time.monotonic() - attempt.started > limit.timeout_s:
                self._kill(number, "timeout", f"ran longer than {limit.timeout_s:g} s")
            elif limit.memory_bytes is not None:
                held = self._workers.resident_bytes(number)
                if held > limit.memory_bytes:
                    self._kill(number, "oom", f"held {held / 1e9:.2f} GB")

    def _kill(self, number: int, reason: str, what: str) -> None:
        """End a trial that broke a limit."""
        self._workers.kill(number)
        end = {"number": number, "outcome": "failed", "reason": reason, "what": what}
        self._end(TrialEnd.model_validate(end))

    @timed("sampling")
    def _propose(self, start: Start) -> Proposal | Misfit:
        if start.number is None:
            proposal = self._proposals.ask(self.steering.wish())
            self._storage.begin(proposal.trial)
            self.steering.begun(proposal.trial.user_attrs.get(REQUEST))
        else:
            proposal = self._proposals.again(start.number)
            self._storage.resume(start.number)
        return proposal

    def _begin(self, proposal: Proposal) -> None:
        attempt = Attempt(proposal=proposal, started_utc=now_utc(), started=time.monotonic())
        self._running[proposal.number] = attempt
        self._scheduler.started(proposal.number)
        self._tell(lambda observer: observer.trial_started(proposal))

    def _take_over(self, proposal: Proposal, twin: TrialRecord) -> None:
        """End a trial with the outcome of an earlier one of an equal config, its curve included."""
        self._tell(lambda observer: observer.trial_started(proposal))
        number = proposal.number
        curve = self._recorder.copy_curve(twin.number, number)
        for validation, value in curve.items():
            self._report(proposal, validation, value)
        self._finish(twin_record(twin, proposal), "")

    def _twin_of(self, proposal: Proposal) -> TrialRecord | None:
        """Return the trial whose outcome this one takes; one that has trained goes on itself."""
        trained = (self._study.folder.trial(proposal.number) / "config.json").exists()
        if self._twins is None or trained:
            return None
        return self._twins.of(proposal.number, proposal.config.portable())

    @timed("sampling")
    def _report(self, proposal: Proposal, validation: int, value: float) -> bool:
        """Hand a value to pruner and storage, once each; return whether the pruner stops here."""
        if validation not in proposal.trial.intermediate_values:
            self._storage.report(proposal.number, validation=validation, value=value)
        return self._proposals.report(proposal.number, validation=validation, value=value)

    def _trial_folder(self, number: int) -> Path:
        """Return the folder of a trial: empty, or with the checkpoint that it goes on from."""
        folder = self._study.folder.trial(number)
        if folder.exists() and not can_go_on(folder):
            shutil.rmtree(folder)
        make_folder(folder)
        return folder

    def _end(self, end: TrialEnd) -> None:
        self._hear(end)
        if end.outcome == "killed" and self._scheduler.halted is not None:
            self._give_back(end.number)  # the machine ends everything: no fault of the trial
            return
        if end.outcome == "killed" and self._attempts.get(end.number, 1) <= self._study.retries:
            self._attempts[end.number] = self._attempts.get(end.number, 1) + 1
            self._storage.note_attempts(end.number, self._attempts[end.number])
            self._give_back(end.number)
            return
        if end.reason == "disk":
            self._scheduler.halt("disk")
        if end.outcome == "abandoned" or end.reason == "disk":
            self._give_back(end.number)
            return
        self._finish(self._record(end), end.traceback)

    def _finish(self, record: TrialRecord, traceback: str) -> None:
        """Put the end of a trial on record, and tell everybody."""
        with phase("records"):
            is_best = self._recorder.ended(record, traceback, time_s=self.time_s())
        with phase("sampling"):
            state, value = record.state, record.value
            self._proposals.tell(record.number, state, value, violation=record.violation)
        if self._twins is not None:
            self._twins.ended(record)
        self._scheduler.finished(
            record.number,
            epochs=record.epochs_spent,
            failure=_failure(record),
            repeated=record.same_as is not None,
        )
        self._tell(lambda observer: observer.trial_ended(record, best=is_best))

    def _hear(self, end: TrialEnd) -> None:
        """Take in where the time of a child went; one that died could not say."""
        if not running() or not self._workers.shares_data:
            return
        attempt = self._running.get(end.number)
        lost = 0.0 if attempt is None else time.monotonic() - attempt.started
        heard(end.phases or {"other": lost})

    def _record(self, end: TrialEnd) -> TrialRecord:
        return trained_record(
            self._study.name,
            self._running.pop(end.number),
            self.steering.named(end),
            attempts=self._attempts.get(end.number, 1),
            audit=self._proposals.audited(end.number),
        )

    def _limited(self, limits: Limits) -> None:
        self._recorder.write_progress(self.time_s())
        self._tell(lambda observer: observer.budget_changed(limits))

    def _give_back(self, number: int) -> None:
        self._running.pop(number)
        self._storage.give_back(number)
        self._scheduler.given_back(number)
        self._tell(lambda observer: observer.trial_given_back(number))


def _failure(record: TrialRecord) -> str | None:
    return f"{record.reason}: {record.what}" if record.state == "failed" else None
