"""Rows F11, F13 to F15, F19: a database that is raced for, locked, lost, full or damaged."""

import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks.faults_baseline.deaths import running
from benchmarks.faults_baseline.stack import (
    Stack,
    Verdict,
    end_of,
    fill,
    plural,
    small_disk,
    wait_until,
)

N_RACERS = 8
N_ROUNDS = 5
LOCKED_S = 12.0
FULL_S = 6.0
DAMAGES = ("last page cut", "half cut", "page zeroed", "empty", "text")


def f11_race(folder: Path, tuned: bool) -> Verdict:
    """Eight processes create one study in a fresh file at the same moment, five times."""
    stack = Stack(folder, tuned=tuned)
    racers = [stack.start(rounds=N_ROUNDS) for _ in range(N_RACERS)]
    for n in range(N_ROUNDS):
        wait_until(partial(all_ready, folder, n), racers[0])
        (folder / f"go-{n}").touch()
    for racer in racers:
        end_of(racer)
    said = [path.read_text() for path in folder.glob("said-*")]
    died = N_RACERS * N_ROUNDS - said.count("made")
    return Verdict(kept=died == 0, fact=f"{died} of {N_RACERS * N_ROUNDS} starts died")


def all_ready(folder: Path, n: int) -> bool:
    return len(list(folder.glob(f"ready-{n}-*"))) == N_RACERS


def f13_locked(folder: Path, tuned: bool) -> Verdict:
    """Another program holds the database for twelve seconds, as a backup does."""
    stack = Stack(folder, tuned=tuned)
    stack.hold()
    process = stack.start(trials=4, fault="wait")
    stack.wait_ready(process)
    with closing(sqlite3.connect(stack.database, isolation_level=None)) as other:
        other.execute("begin exclusive")
        stack.release()
        time.sleep(LOCKED_S)
        other.execute("rollback")
    ended = end_of(process)
    left, n = len(stack.having("RUNNING")), len(stack.finished())
    fact = "went on" if ended.code == 0 else f"the search ended, {running(left)}"
    return Verdict(kept=ended.code == 0 and left == 0 and n == 4, fact=fact)


def f14_lost(folder: Path, tuned: bool) -> Verdict:
    """The database is deleted, or replaced by an empty file, in the third training."""
    facts = []
    for how in ("deleted", "emptied"):
        stack = Stack(folder / how, tuned=tuned)
        stack.hold()
        process = stack.start(trials=4, fault="wait", fault_trial=2)
        stack.wait_ready(process)
        stack.database.unlink()
        if how == "emptied":
            stack.database.touch()
        stack.release()
        ended = end_of(process)
        named = str(stack.database) in ended.said
        try:
            n = len(stack.rows())
        except sqlite3.OperationalError:
            n = 0
        facts.append((ended.code, named, n))
    silent = sum(code == 0 or not named for code, named, _ in facts)
    lost = sum(n < 2 for *_, n in facts)
    fact = f"{lost} of 2 lost every result, {silent} of 2 without an error that names the file"
    return Verdict(kept=lost == 0 and silent == 0, fact=fact)


def f15_full(folder: Path, tuned: bool) -> Verdict:
    """The database's disk is full from the second training on, for six seconds."""
    with small_disk(folder / "small", "2m") as mounted:
        if not mounted:
            return Verdict(kept=None, fact="not run: mounting a small disk needs root")
        stack = Stack(folder / "stack", tuned=tuned)
        stack.database = folder / "small" / "study.db"
        stack.hold()
        process = stack.start(trials=4, fault="wait")
        stack.wait_ready(process)
        filler = fill(folder / "small")
        stack.release()
        try:
            time.sleep(FULL_S)
        finally:
            filler.unlink()
        ended = end_of(process)
        stopped = ended.code != 0
        if stopped:
            stack.wait_stale()
            stack.run(trials=4)
        left, n = len(stack.having("RUNNING")), len(stack.finished())
    fact = "the search ended, " if stopped else ""
    fact += running(left) + (f", {n} trials for 4 after a rerun" if stopped and n != 4 else "")
    return Verdict(kept=left == 0 and n == 4, fact=fact)


def harm(file: Path, damage: str) -> None:
    """Damage a database in one of five ways."""
    content = bytearray(file.read_bytes())
    if damage == "last page cut":
        del content[-4096:]
    elif damage == "half cut":
        del content[len(content) // 2 :]
    elif damage == "page zeroed":
        content[4096:8192] = bytes(4096)
    else:
        content = bytearray() if damage == "empty" else bytearray(b"these are no tables" * 300)
    file.write_bytes(content)


def f19_damaged(folder: Path, tuned: bool) -> Verdict:
    """A finished study's database is damaged, and the command given again."""
    written, unnamed = [], []
    for damage in DAMAGES:
        stack = Stack(folder / damage.replace(" ", "-"), tuned=tuned)
        stack.run(trials=3)
        harm(stack.database, damage)
        before = stack.database.read_bytes()
        ended = stack.run(trials=5)
        if stack.database.read_bytes() != before:
            written.append(damage)
        elif str(stack.database) not in ended.said:
            unnamed.append(damage)
    fact = f"{len(written)} of {len(DAMAGES)} written on"
    fact += f" ({', '.join(written)})" if written else ""
    fact += f", {plural(len(unnamed), 'error')} without the file's name" if unnamed else ""
    return Verdict(kept=not written and not unnamed, fact=fact)
