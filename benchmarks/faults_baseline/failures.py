"""Rows F7 to F9: trainings that take all memory, hang, or come to no number."""

import time
from pathlib import Path

from benchmarks.faults_baseline.deaths import running
from benchmarks.faults_baseline.stack import LIMIT_S, Stack, Verdict, kill, plural

MEMORY = ("memory error", "cuda memory", "grow")
N_VALUES = 7
LIMIT_OF_TRIAL_S = 2.0
PATIENCE_S = 10.0


def f7_out_of_memory(folder: Path, tuned: bool) -> Verdict:
    """The second training has no memory left: Python's, CUDA's, or all that the user allows."""
    stopped = 0
    for fault in MEMORY:
        stack = Stack(folder / fault.replace(" ", "-"), tuned=tuned)
        ended = stack.run(trials=4, fault=fault)
        stopped += ended.code != 0 or len(stack.rows()) < 4 or stack.rows()[1].state != "FAIL"
    fact = f"{stopped} of {len(MEMORY)} ended the whole search"
    return Verdict(kept=stopped == 0, fact=fact if stopped else "the trial is FAIL")


def f8_hangs(folder: Path, tuned: bool) -> Verdict:
    """The second training hangs; the call's time limit is two seconds, the only one there is."""
    stack = Stack(folder, tuned=tuned)
    process = stack.start(fault="hang", timeout_s=LIMIT_OF_TRIAL_S, fault_trial=0)
    stack.wait_ready(process)
    latest = time.monotonic() + LIMIT_OF_TRIAL_S + PATIENCE_S
    while process.poll() is None and time.monotonic() < latest:
        time.sleep(0.1)
    hangs = process.poll() is None
    kill(process)
    fact = f"still hanging {PATIENCE_S:.0f} s after its limit of {LIMIT_OF_TRIAL_S:.0f} s"
    return Verdict(kept=not hangs, fact=fact if hangs else "ended at its limit")


def f9_no_number(folder: Path, tuned: bool) -> Verdict:
    """The objective returns seven things that are no number; an eighth training's loss is NaN."""
    stack = Stack(folder, tuned=tuned)
    latest = time.monotonic() + LIMIT_S
    stops = -1
    while len(rows := stack.rows() if stack.database.exists() else []) < N_VALUES + 1:
        if time.monotonic() > latest:
            raise RuntimeError(f"the plain stack came to {len(rows)} trials only")
        trials = N_VALUES + 1 - len(rows)
        stack.run(trials=trials, values=True, fault="nan", fault_trial=N_VALUES)
        stops += 1
    tried = rows[: N_VALUES + 1]
    left = sum(row.state == "RUNNING" for row in tried)
    wrong = [row for row in tried if row.state == "COMPLETE"]
    infinite = sum(row.kind != "FINITE" for row in wrong)
    facts = [f"{plural(infinite, 'infinite value')} COMPLETE, one the best"] if infinite else []
    facts += ["a training with NaN loss COMPLETE"] if tried[-1] in wrong else []
    facts += [f"a wrong value ended the search {plural(stops, 'time')}"] if stops else []
    facts += [running(left)] if left else []
    return Verdict(kept=not facts, fact=", ".join(facts) or "all FAIL")
