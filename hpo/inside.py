"""Inside a child: it takes an order and carries it out, then ends, or waits for another. No Optuna.

To be forked, to touch what it shares with its server and to end costs a child as much as some
epochs of a small network. So one that trained well takes the next order, if nothing that it did can
reach the next training (`takes_another`). Whatever else happened in it, it ends.
"""

import gc
import json
import multiprocessing
import os
import signal
import threading
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from hpo.devices import VISIBLE
from hpo.protocol import ProbeOrder, TrialEnd, TrialOrder
from lightning_modules.phases import timed
from lightning_modules.result import Command, Validation

MOST_ORDERS = 50
"""So many orders make the cost of a fork nothing to speak of; what libraries let grow ends here."""
MOST_GROWTH_BYTES = 256e6
"""Since its first order: a child of a large network is no place for small ones."""
LOOK_S = 1.0
"""How often a child that waits for an order looks whether it was asked to end."""
_terminated = threading.Event()
"""Whether this child was asked to end: it stops at its next batch end, with a checkpoint."""


def trial_main(order_text: str, pipe: Connection) -> None:
    """Carry out an order in a child, and those that come after it."""
    _settle_in()
    text: str | None = order_text
    n_orders, first_bytes = 0, 0
    while text is not None:
        order = TrialOrder.model_validate_json(text)
        pipe.send_bytes(json.dumps({"begun": order.number}).encode())
        end = _carried_out(order, pipe)
        n_orders += 1
        held = psutil.Process().memory_info().rss
        first_bytes = first_bytes or held
        small = held - first_bytes <= MOST_GROWTH_BYTES
        again = small and n_orders < MOST_ORDERS and takes_another(order, end)
        if order.rank == 0 or end.outcome == "failed":
            said = {"end": end.model_dump(mode="json"), "again": again}
            pipe.send_bytes(json.dumps(said).encode())
        if not again:
            return
        gc.collect()  # the network of this order, before another one needs the room
        text = _next_order(pipe)


def takes_another(order: TrialOrder, end: TrialEnd) -> bool:
    """Return whether a child that ended an order so is as good as a fresh one for the next.

    It is not if code that is not ours ran in it, which may keep what it likes; if it had other
    processes or a device beside it; if it compiled a network, for torch counts what it compiled;
    or if its memory is limited, for it holds what earlier orders left.
    """
    from lightning_modules.plugins import loaded_plugins

    trainer = order.config["trainer"]
    return (
        end.outcome == "result"
        and end.result is not None
        and end.result.device == "cpu"
        and trainer["processes"] == 1
        and not trainer.get("compile", False)
        and not order.plugins
        and not order.loggers
        and not loaded_plugins()
        and order.memory_bytes is None
        and not _terminated.is_set()
    )


def probe_main(order_text: str, pipe: Connection) -> None:
    """Probe in a child."""
    from hpo.child import probe
    from hpo.logs import log_to

    _settle_in()
    _print_into(None)
    with log_to(None):
        end = probe(ProbeOrder.model_validate_json(order_text))
    pipe.send_bytes(end.model_dump_json().encode())


class PipeListener:
    """The listener inside a child: asks the supervisor through the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    @timed("waiting")
    def validated(self, validation: Validation) -> Command:
        """Report, and wait for the answer."""
        report = {"validated": validation.model_dump(mode="json")}
        self._pipe.send_bytes(json.dumps(report).encode())
        return Command(self._pipe.recv_bytes().decode())

    def batch_ended(self) -> Command:
        """Look whether something was asked."""
        if _terminated.is_set():
            return Command.ABANDON
        if self._pipe.poll():
            return Command(self._pipe.recv_bytes().decode())
        return Command.CONTINUE


def _carried_out(order: TrialOrder, pipe: Connection) -> TrialEnd:
    if order.gpus is not None:
        os.environ[VISIBLE] = ",".join(order.gpus)  # before anything asks CUDA
    _print_into(order.log)
    from hpo.child import carry_out
    from hpo.logs import log_to

    log = None if order.log is None else Path(order.log)
    with warnings.catch_warnings(), log_to(log):  # each order is warned of its own
        end = carry_out(order, PipeListener(pipe))
    if end.outcome == "abandoned" and _terminated.is_set():
        what = "ended by SIGTERM"
        end = TrialEnd(number=order.number, outcome="killed", reason="killed", what=what)
    return end


def _next_order(pipe: Connection) -> str | None:
    """Wait for another order; None if this child is to end.

    What the order before was still told, as to stop when it had just ended, is passed over.
    """
    while not _terminated.is_set():
        try:
            text = pipe.recv_bytes().decode() if pipe.poll(LOOK_S) else ""
        except (EOFError, OSError):
            return None
        if text.startswith("{") and not _terminated.is_set():
            return text
    return None


def _settle_in() -> None:
    """Ignore Ctrl-C, end in order at SIGTERM, die with the supervisor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _terminated.set())
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _print_into(log: str | None) -> None:
    """Let everything that is printed go into the log."""
    with open(log or os.devnull, "a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
