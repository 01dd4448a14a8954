"""Rows F1 to F6 and F10: processes that are killed, signalled, or end themselves."""

import random
import signal
import time
from pathlib import Path

from benchmarks.faults_baseline.stack import (
    Command,
    Row,
    Stack,
    Verdict,
    end_of,
    kill,
    plural,
    wait_until,
)

BATCHES = 24
"""Of one training: eight an epoch."""
ENDS_ITSELF = ("sys exit", "base exception", "segfault", "os exit", "exception")
MOMENTS = ("validation", "save", "end", "between")


def running(n: int) -> str:
    return f"{plural(n, 'trial')} RUNNING for ever" if n else "no trial left RUNNING"


def f1_worker_killed(folder: Path, tuned: bool) -> Verdict:
    """Two workers share a study; one is killed in a training while the other goes on."""
    stack = Stack(folder, tuned=tuned)
    stack.hold()
    one = stack.start(fault="wait", fault_trial=0)
    stack.wait_ready(one)
    other = stack.start(pause_s=0.3, seed=1)
    wait_until(lambda: len(stack.rows()) > 1, other)
    kill(one)
    ended = end_of(other)
    lost = stack.rows()[0]
    again = [row for row in stack.rows()[1:] if row.params == lost.params]
    left = len(stack.having("RUNNING"))
    trained = any(row.state == "COMPLETE" for row in again)
    fact = "its point was trained again" if trained else "its point was not trained again"
    kept = ended.code == 0 and left == 0 and trained
    return Verdict(kept=kept, fact=f"{running(left)}, {fact}")


def f2_search_killed(folder: Path, tuned: bool) -> Verdict:
    """The whole search is killed in its fourth training, then the same command is given again."""
    stack = Stack(folder, tuned=tuned)
    stack.hold()
    process = stack.start(fault="wait", fault_trial=3)
    stack.wait_ready(process)
    before = stack.finished()
    kill(process)
    stack.wait_stale()
    stack.run()
    lost = lost_of(before, stack)
    left, n = len(stack.having("RUNNING")), len(stack.finished())
    kept = (lost, left, n) == (0, 0, 6)
    return Verdict(
        kept=kept, fact=f"{running(left)}, {n} trials instead of 6" if n != 6 else running(left)
    )


def lost_of(before: list[Row], stack: Stack) -> int:
    """Count the results that were there and are not, or are others."""
    now = {row.number: row for row in stack.rows()}
    return sum(now.get(row.number) != row for row in before)


def stopped(folder: Path, tuned: bool, number: int) -> Verdict:
    """Signal a search in its second training, in the second epoch, and give its command again."""
    stack = Stack(folder, tuned=tuned)
    stack.hold()
    process = stack.start(trials=3, fault="wait", fault_epoch=1)
    stack.wait_ready(process)
    process.send_signal(number)
    stack.release()
    ended = end_of(process)
    stack.wait_stale()
    stack.run(trials=3)
    left = len(stack.having("RUNNING"))
    lines = (stack.folder / "batches").read_text().splitlines()
    steps = [int(line.split()[1]) for line in lines if line.split()[0] == "1"]
    fact = f"exit status {ended.shell_code}, {running(left)}"
    if left == 0:
        fact += f", {len(steps)} batches trained instead of {BATCHES}"
    exact = sorted(steps) == list(range(1, BATCHES + 1))
    return Verdict(kept=ended.shell_code == 128 + number and left == 0 and exact, fact=fact)


def f3_terminated(folder: Path, tuned: bool) -> Verdict:
    return stopped(folder, tuned, signal.SIGTERM)


def f4_interrupted(folder: Path, tuned: bool) -> Verdict:
    return stopped(folder, tuned, signal.SIGINT)


def f5_terminated_anywhere(folder: Path, tuned: bool) -> Verdict:
    """SIGTERM in a validation, a save, at the end of a training, and between two trials."""
    well = []
    for moment in MOMENTS:
        stack = Stack(folder / moment, tuned=tuned)
        ended = stack.run(trials=3, fault="terminate", moment=moment)
        stack.wait_stale()
        stack.run(trials=3)
        left = len(stack.having("RUNNING"))
        if ended.shell_code == 143 and left == 0:
            well.append(moment)
    n = len(MOMENTS) - len(well)
    fact = f"after {n} of {len(MOMENTS)} moments a trial RUNNING for ever, or exit status not 143"
    return Verdict(kept=n == 0, fact=fact if n else f"all {len(MOMENTS)} moments")


def f6_ends_itself(folder: Path, tuned: bool) -> Verdict:
    """The second training ends its own process, in five ways."""
    stopped = left = 0
    for fault in ENDS_ITSELF:
        stack = Stack(folder / fault.replace(" ", "-"), tuned=tuned)
        stack.run(trials=4, fault=fault)
        stopped += len(stack.rows()) < 4
        left += len(stack.having("RUNNING"))
    fact = (
        f"{stopped} of {len(ENDS_ITSELF)} ended the whole search, {plural(left, 'trial')} RUNNING"
    )
    return Verdict(kept=stopped == 0 and left == 0, fact=fact)


def start_two(stack: Stack, trials: int) -> list[Command]:
    """Start two workers, the second when there is a database: creating it at once is row F11."""
    one = stack.start(trials=trials, sampler="tpe")
    wait_until(stack.database.exists, one)
    return [one, stack.start(trials=trials, sampler="tpe", seed=1)]


def f10_killed_at_random(folder: Path, tuned: bool) -> Verdict:
    """Two workers of one study are killed at random moments, three times, and run again."""
    stack = Stack(folder, tuned=tuned)
    chance = random.Random(0)
    n = 24
    each = n if tuned else n // 2
    seen: list[Row] = []
    lost = 0
    for goal in (4, 10, 16):
        workers = start_two(stack, each)
        target = goal + chance.randrange(2)
        while stack.count_if_any() < target and any(w.poll() is None for w in workers):
            time.sleep(0.05)
        for worker in workers:
            kill(worker)
        lost += lost_of(seen, stack)
        seen = stack.finished()
    stack.wait_stale()
    last = [end_of(worker) for worker in start_two(stack, each)]
    lost += lost_of(seen, stack)
    left, done = len(stack.having("RUNNING")), len(stack.finished())
    contiguous = [row.number for row in stack.rows()] == list(range(len(stack.rows())))
    kept = (lost, left, done) == (0, 0, n) and contiguous and all(e.code == 0 for e in last)
    return Verdict(kept=kept, fact=f"{lost} results lost, {running(left)}, {done} trials for {n}")
