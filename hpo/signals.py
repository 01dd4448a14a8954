"""Ctrl-C and SIGTERM: once means at the next batch end, twice means now, more changes nothing."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from hpo.supervisor import StopNow


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``interrupt`` at the first signal and raise StopNow at the second.

    Further ones are passed over: they would break off what puts the study down. Yields the signals
    received so far. Outside of the main thread nothing is changed.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            interrupt()
        elif len(received) == 2:
            raise StopNow

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
