"""Where the time of a process goes: a stopwatch of named phases, which costs nothing while off.

    with stopwatch() as watch:          # all that is in no phase is `other`
        with phase("data"):
            ...
    watch.seconds                       # {"data": 1.2, "other": 0.1}: they add up to the whole

A phase within another one interrupts it, so each instant is counted once. One stopwatch runs in a
process at a time, and looks at the thread that started it alone.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import get_ident
from typing import Literal, ParamSpec, TypeVar, get_args

Phase = Literal[
    "sampling",
    "storage",
    "start-up",
    "data",
    "training",
    "validation",
    "records",
    "waiting",
    "other",
]
PHASES: tuple[Phase, ...] = get_args(Phase)
Given = ParamSpec("Given")
Returned = TypeVar("Returned")
_OFF = nullcontext()


@dataclass(frozen=True, eq=False)
class Open:
    """A phase that was begun, and no other of the same name."""

    name: Phase


class Stopwatch:
    """Counts each instant for the innermost phase that is open.

    Args:
        since: when it began, by the monotonic clock; what passed until now is start-up.
        clock: what tells the time.
    """

    def __init__(
        self, *, since: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._thread = get_ident()
        now = clock()
        self._whole = Open("other")
        self._open = [self._whole]
        self._mark = now
        self.seconds: dict[Phase, float] = {} if since is None else {"start-up": now - since}
        """Of each phase that there was; of those that are open, up to the last change."""
        self.children: dict[str, float] = {}
        """The same of other processes, added up."""

    @property
    def mine(self) -> bool:
        """Whether this thread is the one that it looks at."""
        return get_ident() == self._thread

    def begin(self, name: Phase) -> Open:
        """Open a phase within the one that is open; return what `end` takes."""
        self._lap()
        opened = Open(name)
        self._open.append(opened)
        return opened

    def end(self, opened: Open) -> None:
        """Close a phase, and whatever was left open within it; it may be closed already."""
        if opened in self._open:
            self._lap()
            del self._open[self._open.index(opened) :]

    def stop(self) -> None:
        """Count up to now, and no more."""
        self.end(self._whole)

    def _lap(self) -> None:
        """Count what has passed since the last change."""
        now, name = self._clock(), self._open[-1].name
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._mark
        self._mark = now


_running: Stopwatch | None = None


def running() -> bool:
    """Return whether a stopwatch runs in this process."""
    return _running is not None


def heard(seconds: Mapping[str, float]) -> None:
    """Take in what the stopwatch of a child counted."""
    if _running is not None:
        for name, spent in seconds.items():
            _running.children[name] = _running.children.get(name, 0.0) + spent


@contextmanager
def stopwatch(*, since: float | None = None) -> Iterator[Stopwatch]:
    """Run a stopwatch; the one that ran before goes on afterwards.

    Args:
        since: when it began, by the monotonic clock, which processes of a machine have in common;
            what has passed until now is start-up.
    """
    global _running
    before, one = _running, Stopwatch(since=since)
    _running = one
    try:
        yield one
    finally:
        one.stop()
        _running = before


def phase(name: Phase) -> AbstractContextManager[None]:
    """Count what is done inside for this phase.

    >>> with stopwatch() as watch:
    ...     with phase("data"), phase("storage"):
    ...         pass
    >>> sorted(watch.seconds)
    ['data', 'other', 'storage']
    """
    return _OFF if _running is None or not _running.mine else _within(_running, name)


@contextmanager
def _within(watch: Stopwatch, name: Phase) -> Iterator[None]:
    opened = watch.begin(name)
    try:
        yield
    finally:
        watch.end(opened)


def timed(name: Phase) -> Callable[[Callable[Given, Returned]], Callable[Given, Returned]]:
    """Count what a function does for this phase."""

    def decorate(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
        @functools.wraps(function)
        def counted(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
            if _running is None:
                return function(*args, **kwargs)
            with phase(name):
                return function(*args, **kwargs)

        return counted

    return decorate


class Span:
    """A phase that begins in one call and ends in another, as in the hooks of a Trainer."""

    def __init__(self, name: Phase) -> None:
        self._name = name
        self._open: tuple[Stopwatch, Open] | None = None

    def begin(self) -> None:
        """Open the phase, if it is not open."""
        if _running is not None and self._open is None and _running.mine:
            self._open = (_running, _running.begin(self._name))

    def end(self) -> None:
        """Close the phase, if it is open."""
        if self._open is not None:
            watch, opened = self._open
            self._open = None
            watch.end(opened)
