"""Children: one fresh process per trial, forked from a server that has torch loaded. No Optuna."""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from hpo.records import Reason
from lightning_modules.result import Command, Listener, Validation

PRELOADED = ["hpo.child", "torchmetrics.functional", "pandas"]
METHODS = multiprocessing.get_all_start_methods()


@dataclass(kw_only=True)
class _Child:
    """A process and our end of its pipe."""

    process: BaseProcess
    pipe: Connection
    listener: Listener | None
    told: bool = False
    """Whether it was asked to stop."""


class Children:
    """Train every order in a child of its own.

    A child ignores Ctrl-C, which the terminal sends to all, and dies with this process. Its death
    is seen by its sentinel and becomes an end with a reason.

    Args:
        capacity: how many orders are trained at once.
    """

    shares_data = True

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        method = "forkserver" if "forkserver" in METHODS else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(PRELOADED)
        self._children: dict[int, _Child] = {}

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        """Train the batches in a child, and wait for it.

        A child that dies is reported as a mistake: nothing that the study file asks for may do it.
        """
        child = self._fork(_probe_main, order.model_dump_json(), None)
        ready = wait([child.pipe, child.process.sentinel])
        text = child.pipe.recv_bytes() if child.pipe in ready and child.pipe.poll() else None
        child.process.join()
        child.pipe.close()
        if text is None:
            _, what = cause_of_death(child.process.exitcode)
            mistake = ("", f"one batch of a default config ended its process: {what}", "")
            return ProbeEnd(probes=[], data={}, mistake=mistake)
        return ProbeEnd.model_validate_json(text)

    def start(self, order: TrialOrder, listener: Listener) -> None:
        """Fork a child for the order."""
        child = self._fork(_trial_main, order.model_dump_json(), listener)
        self._children[order.number] = child

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        """Answer reports until an order ends or the time is over."""
        deadline = time.monotonic() + timeout_s
        ended: list[TrialEnd] = []
        while not ended and self._children:
            sources = [one.pipe for one in self._children.values()]
            sentinels = [one.process.sentinel for one in self._children.values()]
            ready = wait([*sources, *sentinels], max(deadline - time.monotonic(), 0.0))
            for number in list(self._children):
                child = self._children[number]
                if child.pipe in ready or child.process.sentinel in ready:
                    end = self._heard(number, child)
                    if end is not None:
                        ended.append(end)
            if time.monotonic() >= deadline:
                break
        return ended

    def abandon(self) -> None:
        """Ask all that runs to stop at its next batch end."""
        for child in self._children.values():
            if not child.told:
                child.told = True
                _send(child.pipe, Command.ABANDON)

    def kill(self, number: int) -> None:
        """End one order now."""
        self._reap(self._children.pop(number))

    def resident_bytes(self, number: int) -> int:
        """Return the resident size of an order's process and its own children."""
        try:
            process = psutil.Process(self._children[number].process.pid)
            family = [process, *process.children(recursive=True)]
            return sum(int(one.memory_info().rss) for one in family)
        except psutil.Error:
            return 0

    def close(self) -> None:
        """End everything that still runs."""
        for number in list(self._children):
            self.kill(number)

    def _fork(
        self, main: Callable[[str, Connection], None], order: str, listener: Listener | None
    ) -> _Child:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=main, args=(order, theirs), daemon=False)
        with _without_main():
            process.start()
        theirs.close()
        return _Child(process=process, pipe=ours, listener=listener)

    def _heard(self, number: int, child: _Child) -> TrialEnd | None:
        """Take one message of a child, or its death."""
        if not child.pipe.poll():
            return None if child.process.is_alive() else self._died(number, child)
        try:
            message = json.loads(child.pipe.recv_bytes())
        except (EOFError, OSError):
            return self._died(number, child)
        if "end" in message:
            self._reap(self._children.pop(number), gently=True)
            return TrialEnd.model_validate(message["end"])
        if child.listener is not None:
            report = Validation.model_validate(message["validated"])
            _send(child.pipe, child.listener.validated(report))
        return None

    def _died(self, number: int, child: _Child) -> TrialEnd:
        child.process.join(1.0)
        code = child.process.exitcode
        self._reap(self._children.pop(number))
        if child.told:
            return TrialEnd(number=number, outcome="abandoned")
        reason, what = cause_of_death(code)
        outcome = "killed" if reason == "killed" else "failed"
        return TrialEnd.model_validate(
            {"number": number, "outcome": outcome, "reason": reason, "what": what}
        )

    def _reap(self, child: _Child, *, gently: bool = False) -> None:
        if gently:
            child.process.join(5.0)
        if child.process.is_alive():
            _kill_family(child.process)
        child.process.join()
        child.pipe.close()


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


def _kill_family(process: BaseProcess) -> None:
    """Kill a child and whatever it started."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        family = []
    process.kill()
    for one in family:
        try:
            one.kill()
        except psutil.Error:
            continue


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


class _PipeListener:
    """The listener inside a child: asks the supervisor through the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def validated(self, validation: Validation) -> Command:
        report = {"validated": validation.model_dump(mode="json")}
        self._pipe.send_bytes(json.dumps(report).encode())
        return Command(self._pipe.recv_bytes().decode())

    def batch_ended(self) -> Command:
        if self._pipe.poll():
            return Command(self._pipe.recv_bytes().decode())
        return Command.CONTINUE


def _trial_main(order_text: str, pipe: Connection) -> None:
    """Carry out one order in a child."""
    from hpo.child import carry_out
    from hpo.logs import log_to

    order = TrialOrder.model_validate_json(order_text)
    _settle_in(order.log)
    with log_to(None if order.log is None else Path(order.log)):
        end = carry_out(order, _PipeListener(pipe))
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
    """Ignore Ctrl-C, die with the supervisor, and print into the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with open(log or os.devnull, "a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
