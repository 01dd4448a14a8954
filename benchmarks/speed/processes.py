"""The rivals' processes: each leads a group of its own, and none outlives who started it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import IO

import psutil

ROOT = Path(__file__).parent.parent.parent
ENDING_S = 10.0
"""How long a process that was asked to end may take."""
TWO = 2
"""How many cores every rival has, where there are more."""


class Rival:
    """A process and the lines that it writes, each with the time at which it came."""

    def __init__(self, command: Sequence[str], *, environment: dict[str, str]) -> None:
        self.began = time.time()
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._over = False
        self._lines: Queue[tuple[float, str] | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put((time.time(), line))
        self._lines.put(None)

    def lines(self, *, until: float = float("inf")) -> Iterator[tuple[float, str]]:
        """Yield each line with the time at which it came, to its end or to that time."""
        while not self._over and (left := until - time.time()) > 0:
            with contextlib.suppress(Empty):
                item = self._lines.get(timeout=min(left, 3600.0))
                if item is None:
                    self._over = True
                else:
                    yield item

    def wait(self) -> float:
        """Wait for its end; return the seconds since its start.

        Raises:
            RuntimeError: if it failed; it says what the process said last.
        """
        code = self._process.wait()
        seconds = time.time() - self.began
        if code:
            raise RuntimeError(f"{self._command()} ended with {code}:\n{self.said()}")
        return seconds

    def ended(self, *, soon_s: float = 0.0) -> bool:
        """Return whether it has ended, or does so soon."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(soon_s)
        return self._process.poll() is not None

    def said(self) -> str:
        """Return the last lines of what it wrote to standard error."""
        self._errors.seek(0)
        return "\n".join(self._errors.read().splitlines()[-15:])

    def end(self) -> None:
        """End it and all that it started."""
        below = self._below()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING_S)
        for one in below:  # whoever has left the group
            with contextlib.suppress(psutil.Error):
                one.kill()
        self._reader.join(ENDING_S)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        self._errors.close()

    def _below(self) -> list[psutil.Process]:
        """Return all that it has started and that still runs."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def _command(self) -> str:
        arguments = self._process.args
        return " ".join(map(str, arguments)) if isinstance(arguments, list) else str(arguments)


@contextlib.contextmanager
def rival(*command: object) -> Iterator[Rival]:
    """Start a command on at most two cores; it and its children are gone at the end."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    with at_most_two_cores():
        started = Rival([str(word) for word in command], environment=environment)
    try:
        yield started
    finally:
        started.end()


@contextlib.contextmanager
def at_most_two_cores() -> Iterator[None]:
    """Let what is started inside have two cores, as all who are compared."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:TWO]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def ending_with_signals() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that whoever holds processes ends them."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def python(module: str, *arguments: object) -> list[str]:
    """Return the command of a module of this package."""
    return [sys.executable, "-m", f"benchmarks.speed.{module}", *map(str, arguments)]
