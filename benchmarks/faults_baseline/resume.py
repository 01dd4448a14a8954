"""Rows F25, F26, F28: what the same command does again, and a changed one."""

from pathlib import Path
from typing import Any

from benchmarks.faults_baseline.stack import Stack, Verdict, plural

CHANGES: dict[str, dict[str, Any]] = {
    "range": {"width_low": 64, "width_high": 128},
    "direction": {"direction": "minimize"},
    "data": {"data_seed": 1},
}


def f25_again(folder: Path, tuned: bool) -> Verdict:
    """The command of a finished study is given again."""
    stack = Stack(folder, tuned=tuned)
    stack.run(trials=4)
    before = len(stack.rows())
    stack.run(trials=4)
    more = len(stack.rows()) - before
    return Verdict(kept=more == 0, fact=f"+{plural(more, 'trial')} on rerun")


def f26_sequence(folder: Path, tuned: bool) -> Verdict:
    """Five trials and five more, against ten of one call, for random search and TPE."""
    repeated = same = 0
    for sampler in ("random", "tpe"):
        straight = Stack(folder / sampler / "straight", tuned=tuned)
        straight.run(trials=10, sampler=sampler)
        parts = Stack(folder / sampler / "parts", tuned=tuned)
        parts.run(trials=5, sampler=sampler)
        parts.run(trials=10 if tuned else 5, sampler=sampler)
        points = [row.params for row in parts.rows()]
        repeated += sum(point in points[:n] for n, point in enumerate(points))
        same += points == [row.params for row in straight.rows()]
    fact = f"{same} of 2 sequences equal, {plural(repeated, 'point')} of 20 tried twice"
    return Verdict(kept=same == 2 and repeated == 0, fact=fact)


def f28_changed(folder: Path, tuned: bool) -> Verdict:
    """The range, the direction or the data are others when the study goes on."""
    accepted = []
    for name, change in CHANGES.items():
        stack = Stack(folder / name, tuned=tuned)
        stack.run(trials=3)
        before = len(stack.rows())
        ended = stack.run(trials=5, **change)
        if ended.code == 0 and len(stack.rows()) > before:
            accepted.append(name)
    fact = f"{len(accepted)} of {len(CHANGES)} accepted silently ({', '.join(accepted)})"
    return Verdict(kept=not accepted, fact=fact if accepted else "all refused")
