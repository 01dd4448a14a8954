"""Row F29: what a long search holds of memory, handles, threads and disk."""

import time
from pathlib import Path

import psutil

from benchmarks.faults_baseline.stack import Stack, Verdict, end_of

WARM, TRIALS, KEEP = 50, 300, 4
GROWTH_MIB = 30.0


def f29_long(folder: Path, tuned: bool) -> Verdict:
    """Three hundred trials, measured at the fiftieth and near the last."""
    stack = Stack(folder, tuned=tuned)
    process = stack.start(trials=TRIALS, epochs=1)
    at = psutil.Process(process.pid)
    measured: list[tuple[float, int, int]] = []
    for goal in (WARM, TRIALS - 5):
        while process.poll() is None and stack.count_if_any() < goal:
            time.sleep(0.5)
        if process.poll() is None:
            measured.append((at.memory_info().rss / 2**20, at.num_fds(), at.num_threads()))
    end_of(process)
    if len(measured) < 2:
        raise RuntimeError("the plain stack ended before it was measured")
    before, after = measured
    weights = len(list(stack.checkpoints.rglob("*.ckpt")))
    growth = after[0] - before[0]
    flat = growth < GROWTH_MIB and after[1] <= before[1] + 2 and after[2] <= before[2] + 2
    fact = f"{growth:+.1f} MiB from trial {WARM} to {TRIALS}, {weights} checkpoint files"
    return Verdict(kept=flat and weights <= KEEP, fact=fact)
