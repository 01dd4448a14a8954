"""The plain stack as a user has it: a folder, a database, and a command that can be given again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0
STALE_S = 5.0
"""After so long a heartbeat of the tuned stack is stale."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a promise was kept, and what was seen; ``kept`` is None where nothing could run."""

    kept: bool | None
    fact: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A trial as the database has it."""

    number: int
    state: str
    value: float | None
    kind: str
    """FINITE, INF_POS or INF_NEG."""
    params: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended; ``code`` is None if it had to be killed for taking too long."""

    code: int | None
    said: str

    @property
    def shell_code(self) -> int | None:
        """What a shell calls it: 128 + n for a death by signal n."""
        return 128 - self.code if self.code is not None and self.code < 0 else self.code


def program(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a program of this package."""
    module = f"benchmarks.faults_baseline.{name}"
    return [sys.executable, "-W", "ignore", "-m", module, *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def hear_ctrl_c() -> None:
    """Undo what a shell does to its background jobs: they ignore Ctrl-C, and so would this one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Command(subprocess.Popen[str]):
    """A command that runs; what it says goes to a file, which does not fill up as a pipe does."""

    def __init__(self, command: list[str], folder: Path) -> None:
        handle, name = tempfile.mkstemp(prefix="stderr-", dir=folder)
        self.words = Path(name)
        with os.fdopen(handle, "w") as stream:
            super().__init__(
                command,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                text=True,
                env=environment(),
                start_new_session=True,
                preexec_fn=hear_ctrl_c,
            )


class Stack:
    """One folder of the plain stack."""

    def __init__(self, folder: Path, *, tuned: bool) -> None:
        folder.mkdir(parents=True)
        self.folder, self.tuned = folder, tuned
        self.database = folder / "study.db"
        self.checkpoints = folder / "checkpoints"

    def start(self, **options: Any) -> Command:
        """Start the command; what an earlier one left for its fault is forgotten."""
        (self.folder / "ready").unlink(missing_ok=True)
        given = {
            "folder": str(self.folder),
            "database": str(self.database),
            "checkpoints": str(self.checkpoints),
            "tuned": self.tuned,
            **options,
        }
        return Command(program("plain", json.dumps(given)), self.folder)

    def run(self, **options: Any) -> Ended:
        """Run the command to its end."""
        return end_of(self.start(**options))

    def wait_ready(self, process: Command) -> None:
        """Wait until the command is at the moment of its fault."""
        wait_until((self.folder / "ready").exists, process)

    def hold(self) -> None:
        """Have the fault `wait` wait until ``release``."""
        (self.folder / "wait").touch()

    def release(self) -> None:
        (self.folder / "wait").unlink()

    def wait_stale(self) -> None:
        """Wait until a dead process's heartbeat is stale, where there are heartbeats."""
        if self.tuned:
            time.sleep(STALE_S)

    def rows(self) -> list[Row]:
        """Return all trials by number; none where there is no study yet."""
        query = """select t.number, t.state, v.value, v.value_type, p.param_name, p.param_value
            from trials t left join trial_values v using (trial_id)
            left join trial_params p using (trial_id) order by t.number"""
        found: dict[int, Row] = {}
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            database.execute("pragma busy_timeout = 60000")
            for number, state, value, kind, name, param in database.execute(query).fetchall():
                params = {**(found[number].params if number in found else {})}
                params |= {} if name is None else {name: param}
                found[number] = Row(
                    number=number, state=state, value=value, kind=kind or "", params=params
                )
        return list(found.values())

    def having(self, *states: str) -> list[Row]:
        """Return the trials in one of these states."""
        return [row for row in self.rows() if row.state in states]

    def finished(self) -> list[Row]:
        return self.having("COMPLETE", "PRUNED")

    def count_if_any(self) -> int:
        """Return how many trials have ended well; 0 while there is no table yet."""
        try:
            return len(self.finished())
        except sqlite3.OperationalError:
            return 0


def end_of(process: Command) -> Ended:
    """Wait for a command, kill it after two minutes, and say how it ended."""
    try:
        code: int | None = process.wait(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        kill(process)
        code = None
    return Ended(code=code, said=process.words.read_text(encoding="utf-8", errors="replace"))


def wait_until(true: Callable[[], bool], process: Command) -> None:
    """Wait for a moment that the command is to reach.

    Raises:
        RuntimeError: the command ended before, or did not get there within two minutes.
    """
    latest = time.monotonic() + LIMIT_S
    while not true():
        if process.poll() is not None or time.monotonic() > latest:
            process.kill()
            raise RuntimeError(f"the plain stack did not get to its fault: {end_of(process).said}")
        time.sleep(0.01)


def kill(process: Command) -> None:
    """Kill a command as the kernel does, and wait until it is gone."""
    process.kill()
    process.wait()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mount a small file system on a folder; yields whether that was possible (it needs root)."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, check=False, stderr=subprocess.DEVNULL)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write until the disk is full; returns the file to delete."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                continue
    return file


def plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
