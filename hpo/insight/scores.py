"""Scores: one order of all trials that were trained, those that were pruned at their place."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from hpo.records import TrialRecord

Curves = Mapping[int, Mapping[int, float]]
"""The objective of every validation, by trial and by the validation's count."""


def scores(records: Sequence[TrialRecord], curves: Curves, direction: str) -> dict[int, float]:
    """Return a score between 0 and 1 by trial, higher is better; equal values have equal ones.

    A complete trial has the rank of its value. A pruned one has the place that its value has among
    those that the others had at the same validation: it is used at its fidelity. What repeats
    another trial, was stopped by hand or failed has none.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    placed = {r.number: (sign * r.value,) for r in records if r.has_rank and r.value is not None}
    finals = _ranks(placed)
    bests = {number: _running(curve, sign) for number, curve in curves.items()}
    pruned = [r for r in records if _is_pruned(r) and bests.get(r.number)]
    keys: dict[int, tuple[float, ...]] = {n: (score, 0.0) for n, score in finals.items()}
    stages = {r.number: max(bests[r.number]) for r in pruned}
    for stage in sorted(set(stages.values()), reverse=True):
        peers = sorted((bests[n][stage], keys[n][0]) for n in keys if stage in bests.get(n, {}))
        heights = [value for value, _ in peers]
        ladder = sorted(score for _, score in peers)
        for number in [n for n, at in stages.items() if at == stage]:
            value = bests[number][stage]
            keys[number] = (_place(value, heights, ladder), value)
    return _ranks(keys)


def _is_pruned(record: TrialRecord) -> bool:
    by_hand = record.run is not None and record.run.stopped_by == "user"
    return record.state == "pruned" and record.same_as is None and not by_hand


def _running(curve: Mapping[int, float], sign: float) -> dict[int, float]:
    """Return the best value so far at every validation, higher is better."""
    best, found = float("-inf"), {}
    for validation in sorted(curve):
        best = max(best, sign * curve[validation])
        found[validation] = best
    return found


def _place(value: float, heights: Sequence[float], ladder: Sequence[float]) -> float:
    """Return the score at a value's place among those of its peers; below all is below 0."""
    if not ladder:
        return -1.0
    below, upto = bisect_left(heights, value), bisect_right(heights, value)
    if upto == 0:
        return min(ladder[0] - 1e-6, -1e-6)
    middle = (below + upto - 1) / 2 if upto > below else upto - 0.5
    lower, upper = ladder[int(middle)], ladder[min(int(middle + 0.5), len(ladder) - 1)]
    return (lower + upper) / 2


def _ranks(keys: Mapping[int, tuple[float, ...]]) -> dict[int, float]:
    """Return the mean rank of every key as a share."""
    order = sorted(keys.values())
    n = len(order)
    return {
        number: (bisect_left(order, key) + bisect_right(order, key)) / (2 * n)
        for number, key in keys.items()
    }
