"""Children: processes that train, forked from a server with torch loaded. No Optuna."""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hpo.devices import least_loaded
from hpo.forked import Forked
from hpo.inside import probe_main, trial_main
from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from hpo.records import Reason
from hpo.resting import Resting
from lightning_modules.result import Command, Listener, Validation

PRELOADED = ["hpo.preloaded"]
SETTLE_S = 1.0
"""How long the processes of an order may take to say why they failed, after the first has."""
METHODS = multiprocessing.get_all_start_methods()
PRIVATE = ("HPO_STORAGE",)
"""Variables that no child inherits: only the supervisor opens the storage, by its password."""


@dataclass(kw_only=True)
class _Child:
    """The processes of an order; the first one reports and is answered, all say if they fail."""

    processes: list[Forked]
    listener: Listener | None
    devices: list[str]
    room: str | None
    """A folder in which several processes find each other."""
    told: bool = False
    """Whether it was asked to stop."""
    sees: list[str] | None
    """The only GPUs that it sees; None is all."""
    untaken: str = ""
    """The order, until a process that carried out another before has begun with it."""


class Children:
    """Train every order in a child, of one process or of several.

    A child that trained well takes another order (`hpo.inside`), any other one ends. It ignores
    Ctrl-C, which the terminal sends to all, and dies with this process. Its death is seen by its
    sentinel and becomes an end with a reason; if one of several processes dies, all do. Each
    process of an order sees one GPU of its own, the least loaded at its start.

    Args:
        capacity: how many orders are trained at once.
        devices: the GPUs that they share, as ``CUDA_VISIBLE_DEVICES`` names them; none hides
            nothing.
    """

    shares_data = True

    def __init__(self, capacity: int, *, devices: Sequence[str] = ()) -> None:
        self.capacity = capacity
        self._devices = list(devices)
        method = "forkserver" if "forkserver" in METHODS else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(PRELOADED)
        self._children: dict[int, _Child] = {}
        self._resting = Resting()

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        """Train the batches in a child, and wait for it.

        A child that dies is reported as a mistake: nothing that the study file asks for may do it.
        """
        child = self._fork(probe_main, order.model_dump_json())
        ready = wait(child.sources())
        try:
            text = child.pipe.recv_bytes() if child.pipe in ready else None
        except EOFError:
            text = None
        child.join()
        child.pipe.close()
        if text is None:
            _, what = cause_of_death(child.exitcode)
            mistake = ("", f"one batch of a default config ended its process: {what}", "")
            return ProbeEnd(probes=[], data={}, mistake=mistake)
        return ProbeEnd.model_validate_json(text)

    def start(self, order: TrialOrder, listener: Listener | None) -> None:
        """Give the order to a child that waits for one, or fork its processes."""
        n_processes = int(order.config["trainer"]["processes"])
        taken = Counter(name for child in self._children.values() for name in child.devices)
        devices = least_loaded(self._devices, taken, n_processes)
        room = tempfile.mkdtemp(prefix="hpo-") if n_processes > 1 else None
        sees = devices or order.gpus
        child = _Child(processes=[], listener=listener, devices=devices, sees=sees, room=room)
        self._children[order.number] = child
        meeting = None if room is None else str(Path(room) / "meeting")
        texts = [
            order.model_copy(update={"gpus": sees, "rank": rank, "meeting": meeting})
            for rank in range(n_processes)
        ]
        rested = self._resting.take(sees) if n_processes == 1 else None
        if rested is not None:
            child.untaken = texts[0].model_dump_json()
            child.processes.append(rested)
            _send(rested.pipe, child.untaken)
            return
        self._resting.make_room(self.capacity - len(self._children))
        for one in texts:
            child.processes.append(self._fork(trial_main, one.model_dump_json()))

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        """Answer reports until an order ends or the time is over."""
        deadline = time.monotonic() + timeout_s
        ended: list[TrialEnd] = []
        while not ended and self._children:
            running = [one for child in self._children.values() for one in child.processes]
            sources = [source for one in running for source in one.sources()]
            ready = wait(sources, max(deadline - time.monotonic(), 0.0))
            for number, child in list(self._children.items()):
                for one in list(child.processes):
                    if one.lost or any(source in ready for source in one.sources()):
                        end = self._heard(number, child, one)
                        if end is not None:
                            ended.append(end)
                            break
            if time.monotonic() >= deadline:
                break
        return ended

    def abandon(self) -> None:
        """Ask all that runs to stop at its next batch end."""
        for child in self._children.values():
            if not child.told:
                child.told = True
                _send(child.processes[0].pipe, Command.ABANDON.value)

    def kill(self, number: int) -> None:
        """End one order now."""
        self._reap(self._children.pop(number))

    def resident_bytes(self, number: int) -> int:
        """Return the resident size of an order's processes and their own children."""
        return sum(one.resident_bytes() for one in self._children[number].processes)

    def close(self) -> None:
        """End everything that still runs."""
        for number in list(self._children):
            self.kill(number)
        self._resting.close()

    def _fork(self, main: Callable[[str, Connection], None], order: str) -> Forked:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(order, theirs), daemon=False)
        with _without_main(), _without_private():
            process.start()
        theirs.close()
        return Forked(process, ours)

    def _heard(self, number: int, child: _Child, one: Forked) -> TrialEnd | None:
        """Take one message of a child's process, or its death."""
        message = one.message()
        if message is None and child.untaken and not child.told:
            one.end()  # it ended before it took the order, so that is none of its own
            child.processes[:] = [self._fork(trial_main, child.untaken)]
            child.untaken = ""
            return None
        if message is None:
            return self._ended(number, child, one, None)
        if "begun" in message:
            child.untaken = ""
        if "end" in message:
            end = TrialEnd.model_validate(message["end"])
            if message["again"]:
                del self._children[number]
                self._resting.put(one, child.sees)
                return end
            return self._ended(number, child, one, end)
        if "validated" in message:
            report = Validation.model_validate(message["validated"])
            listener = child.listener
            command = listener.validated(report) if listener else Command.CONTINUE
            _send(one.pipe, command.value)
        return None

    def _ended(
        self, number: int, child: _Child, one: Forked, end: TrialEnd | None
    ) -> TrialEnd | None:
        """Make the end of one process that of its child, unless it only followed, and ended well.

        Args:
            number: of the order.
            child: what trains it.
            one: the process.
            end: what it said; None if it died.
        """
        if end is None:
            one.join(1.0)
            if one is not child.processes[0] and one.exitcode == 0:
                child.processes.remove(one)
                one.pipe.close()
                return None
        well = end is not None and end.outcome != "failed"
        cause = end if end is not None and well else _cause(number, child, one, end)
        alone = len(child.processes) == 1
        self._reap(self._children.pop(number), gently=well or alone)
        return cause

    def _reap(self, child: _Child, *, gently: bool = False) -> None:
        for one in child.processes:
            if gently:
                one.join(5.0)
            one.end()
        if child.room is not None:
            shutil.rmtree(child.room, ignore_errors=True)


def _cause(number: int, child: _Child, one: Forked, end: TrialEnd | None) -> TrialEnd:
    """Return why the processes of an order failed: the failure or death that came first.

    The others fail because it is gone, a moment later. One that was killed could not say when; one
    that aborts itself is what libraries make of the loss of another.
    """
    ends = [end or _death(number, one, told=child.told)]
    deadline = time.monotonic() + SETTLE_S
    for other in child.processes:
        if other is not one:
            other.join(max(deadline - time.monotonic(), 0.0))
            said = _last_word(other)
            if said is None and other.exitcode:
                said = _death(number, other, told=child.told)
            if said is not None and said.outcome in ("result", "abandoned"):
                return said
            ends += [] if said is None else [said]
    return min(ends, key=lambda end: end.failed_s or 0.0)


def _last_word(one: Forked) -> TrialEnd | None:
    """Return the end that a process said, reading over its reports; None if it said none."""
    while message := one.message():
        if "end" in message:
            return TrialEnd.model_validate(message["end"])
    return None


def _death(number: int, one: Forked, *, told: bool) -> TrialEnd:
    """Return the end of a process that did not say how it ended."""
    if told:
        return TrialEnd(number=number, outcome="abandoned")
    if one.lost:
        what = "ended after the server that had forked it"
        return TrialEnd(number=number, outcome="killed", reason="killed", what=what)
    code = one.exitcode
    reason, what = cause_of_death(code)
    outcome = "killed" if reason == "killed" else "failed"
    last = time.monotonic() if code == -signal.SIGABRT else None
    return TrialEnd.model_validate(
        {"number": number, "outcome": outcome, "reason": reason, "what": what, "failed_s": last}
    )


def cause_of_death(code: int | None) -> tuple[Reason, str]:
    """Return reason and words for the exit code of a child that did not say how it ended."""
    if code in (-signal.SIGKILL, -signal.SIGTERM):
        return "killed", f"killed by {signal.Signals(-code).name}"
    if code is not None and code < 0:
        return "error", f"crashed by {signal.Signals(-code).name}"
    return "error", f"ended its process with exit code {code}"


def _send(pipe: Connection, text: str) -> None:
    try:
        pipe.send_bytes(text.encode())
    except OSError:
        return  # it died; its sentinel tells


class _without_main:  # noqa: N801  (a context manager, used as a verb)
    """Hide the main module while a child starts: it has no need to import the program again."""

    def __enter__(self) -> None:
        main = sys.modules["__main__"]
        self._kept = {name: getattr(main, name, None) for name in ("__spec__", "__file__")}
        for name in self._kept:
            setattr(main, name, None)

    def __exit__(self, *_: object) -> None:
        main = sys.modules["__main__"]
        for name, value in self._kept.items():
            if value is None and name == "__file__":
                delattr(main, name)
            else:
                setattr(main, name, value)


@contextmanager
def _without_private() -> Iterator[None]:
    """Hide what a child, or the server that forks it, should not inherit."""
    kept = {name: os.environ.pop(name) for name in PRIVATE if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
