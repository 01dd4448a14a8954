"""A process that a server forked for us: whether it lives, what it says, how it ends.

The server reaps the process and tells its exit code. Where the server itself was killed, as by a
signal to the whole process group, multiprocessing takes what it had forked for dead while it lives
and may be on its way to say how it ended.
"""

import json
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

UNKNOWN = 255
"""The exit code that multiprocessing gives to a process whose server is gone."""


class Forked:
    """A process and our end of its pipe."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.pipe = pipe
        self._process = process
        self._orphaned = False
        self._seen: psutil.Process | None
        try:
            self._seen = psutil.Process(process.pid)
        except psutil.Error:  # it died at once
            self._seen = None

    def sources(self) -> list[Any]:
        """Return what becomes ready when it says something or dies.

        The sentinel of one whose server is gone is ready for ever; then its pipe alone tells.
        """
        return [self.pipe] if self._orphaned else [self.pipe, self._process.sentinel]

    def lives(self) -> bool:
        """Return whether it runs."""
        if self._process.is_alive():
            return True
        if self._process.exitcode != UNKNOWN or not self._runs():
            return False
        self._orphaned = True
        return True

    @property
    def lost(self) -> bool:
        """Whether it died after its server, and no sentinel told."""
        return self._orphaned and not self._runs()

    @property
    def exitcode(self) -> int | None:
        """How it ended, None while it runs; below zero is the number of a signal."""
        return None if self.lives() else self._process.exitcode

    def message(self) -> dict[str, Any] | None:
        """Return what it said, empty if nothing; None if it is dead and has said all."""
        alive = self.lives()
        try:
            if self.pipe.poll():
                said: dict[str, Any] = json.loads(self.pipe.recv_bytes())
                return said
        except (EOFError, OSError):
            return None
        return {} if alive else None

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it has ended."""
        self._process.join(timeout_s)
        if self.lives() and self._orphaned and self._seen is not None:
            try:
                self._seen.wait(timeout_s)
            except psutil.TimeoutExpired:
                return

    def kill(self) -> None:
        """Kill it and whatever it started."""
        if self._seen is None:
            return
        try:
            family = [*self._seen.children(recursive=True), self._seen]
        except psutil.Error:
            return
        for one in reversed(family):
            try:
                one.kill()
            except psutil.Error:
                continue

    def end(self) -> None:
        """Kill it, if it lives, and close what was left of it."""
        if self.lives():
            self.kill()
        self.join()
        self.pipe.close()

    def resident_bytes(self) -> int:
        """Return the resident size of it and of what it started; 0 if it has ended."""
        if self._seen is None:
            return 0
        try:
            family = [self._seen, *self._seen.children(recursive=True)]
            return sum(int(one.memory_info().rss) for one in family)
        except psutil.Error:
            return 0

    def _runs(self) -> bool:
        try:
            return (
                self._seen is not None
                and self._seen.is_running()
                and self._seen.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False
