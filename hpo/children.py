"""Children: fresh processes for every trial, forked from a server with torch loaded. No Optuna."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hpo.devices import VISIBLE, least_loaded
from hpo.forked import Forked
from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from hpo.records import Reason
from lightning_modules.result import Command, Listener, Validation

PRELOADED = ["hpo.child", "torchmetrics.functional", "pandas"]
SETTLE_S = 1.0
"""How long the processes of an order may take to say why they failed, after the first has."""
_terminated = threading.Event()
"""Whether this child was asked to end: it stops at its next batch end, with a checkpoint."""
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


class Children:
    """Train every order in a child of its own, of one process or of several.

    A child ignores Ctrl-C, which the terminal sends to all, and dies with this process. Its death
    is seen by its sentinel and becomes an end with a reason; if one of several processes dies, all
    do. Each process of an order sees one GPU of its own, the least loaded at its start.

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

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        """Train the batches in a child, and wait for it.

        A child that dies is reported as a mistake: nothing that the study file asks for may do it.
        """
        child = self._fork(_probe_main, order.model_dump_json())
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
        """Fork the processes of the order."""
        n_processes = int(order.config["trainer"]["processes"])
        taken = Counter(name for child in self._children.values() for name in child.devices)
        devices = least_loaded(self._devices, taken, n_processes)
        room = tempfile.mkdtemp(prefix="hpo-") if n_processes > 1 else None
        child = _Child(processes=[], listener=listener, devices=devices, room=room)
        self._children[order.number] = child
        meeting = None if room is None else str(Path(room) / "meeting")
        for rank in range(n_processes):
            changes = {"gpus": devices or order.gpus, "rank": rank, "meeting": meeting}
            one = order.model_copy(update=changes)
            child.processes.append(self._fork(_trial_main, one.model_dump_json()))

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
                _send(child.processes[0].pipe, Command.ABANDON)

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
        if message is None:
            return self._ended(number, child, one, None)
        if "end" in message:
            return self._ended(number, child, one, TrialEnd.model_validate(message["end"]))
        if "validated" in message:
            report = Validation.model_validate(message["validated"])
            listener = child.listener
            _send(one.pipe, listener.validated(report) if listener else Command.CONTINUE)
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
            if one.lives():
                one.kill()
            one.join()
            one.pipe.close()
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


def _send(pipe: Connection, command: Command) -> None:
    try:
        pipe.send_bytes(command.value.encode())
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


class _PipeListener:
    """The listener inside a child: asks the supervisor through the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def validated(self, validation: Validation) -> Command:
        report = {"validated": validation.model_dump(mode="json")}
        self._pipe.send_bytes(json.dumps(report).encode())
        return Command(self._pipe.recv_bytes().decode())

    def batch_ended(self) -> Command:
        if _terminated.is_set():
            return Command.ABANDON
        if self._pipe.poll():
            return Command(self._pipe.recv_bytes().decode())
        return Command.CONTINUE


def _trial_main(order_text: str, pipe: Connection) -> None:
    """Carry out one order in a child."""
    order = TrialOrder.model_validate_json(order_text)
    if order.gpus is not None:
        os.environ[VISIBLE] = ",".join(order.gpus)  # before anything asks CUDA
    from hpo.child import carry_out
    from hpo.logs import log_to

    _settle_in(order.log)
    with log_to(None if order.log is None else Path(order.log)):
        end = carry_out(order, _PipeListener(pipe))
    if end.outcome == "abandoned" and _terminated.is_set():
        what = "ended by SIGTERM"
        end = TrialEnd(number=order.number, outcome="killed", reason="killed", what=what)
    if order.rank == 0 or end.outcome == "failed":
        pipe.send_bytes(json.dumps({"end": end.model_dump(mode="json")}).encode())


def _probe_main(order_text: str, pipe: Connection) -> None:
    """Probe in a child."""
    from hpo.child import probe
    from hpo.logs import log_to

    _settle_in(None)
    with log_to(None):
        end = probe(ProbeOrder.model_validate_json(order_text))
    pipe.send_bytes(end.model_dump_json().encode())


def _settle_in(log: str | None) -> None:
    """Ignore Ctrl-C, end in order at SIGTERM, die with the supervisor, print into the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _terminated.set())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with open(log or os.devnull, "a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
