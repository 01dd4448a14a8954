"""Where next? Ranges whose best values lie at a bound: which bound to move, and by how much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.insight.axes import Axis
from hpo.records import TrialRecord, ranked

NEAR = 0.05
"""A value lies at a bound when it is within this share of the range, in its own scale."""
TOP = 0.2
"""The share of the complete trials that count as the top ones …"""
FEWEST_TOP, MOST_TOP = 3, 10
"""… within these numbers."""
FURTHER = 0.25
"""By which share of the range, in its own scale, a bound is moved."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A range with its best values at one of its bounds."""

    name: str
    side: str
    """``low`` or ``high``."""
    bound: float
    best: float | None
    """The best trial's value, None if it does not have the parameter."""
    near: int
    """How many of the top trials lie within 5 % of the bound."""
    top: int
    """How many top trials have the parameter."""
    chance: float
    """The share that would lie there if all values were as good."""
    move_to: float
    strong: bool
    """Whether at least half of the top trials lie there, the best one among them."""
    sentence: str


def edges(records: Sequence[TrialRecord], axes: Sequence[Axis], direction: str) -> list[Edge]:
    """Return the ranges whose top trials lie at a bound, the clearest first.

    A low bound of 0 is taken for the natural end of a setting, and is not warned of.
    """
    complete = ranked([record for record in records if record.has_rank], direction)
    found = []
    for axis in axes:
        if not axis.is_number:
            continue
        have = [record for record in complete if axis.name in record.params]
        top = have[: max(FEWEST_TOP, min(MOST_TOP, math.ceil(TOP * len(have))))]
        if len(have) < FEWEST_TOP:
            continue
        for side in ("low", "high"):
            edge = _edge(axis, side, top, complete[0])
            if edge is not None:
                found.append(edge)
    return sorted(found, key=lambda edge: (not edge.strong, -edge.near / edge.top, edge.name))


def _edge(axis: Axis, side: str, top: Sequence[TrialRecord], best: TrialRecord) -> Edge | None:
    bound = axis.low if side == "low" else axis.high
    if bound is None or (side == "low" and bound == 0 and not axis.log):
        return None
    places = [axis.unit(record.params[axis.name]) for record in top]
    close = [place <= NEAR if side == "low" else place >= 1 - NEAR for place in places]
    own = best.params.get(axis.name)
    at_best = bool(top) and top[0].number == best.number and close[0]
    chance = _chance(axis)
    wanted = max(0.5, min(2 * chance, 0.9))
    if not at_best and sum(close) < wanted * len(close):
        return None
    if at_best and sum(close) <= chance * len(close) and sum(close) < 2:
        strong = False
    else:
        strong = at_best and sum(close) >= max(FEWEST_TOP, wanted * len(close))
    move_to = _moved(axis, side)
    if move_to == bound:
        return None
    return Edge(
        name=axis.name,
        side=side,
        bound=bound,
        best=None if own is None else float(own),
        near=sum(close),
        top=len(close),
        chance=chance,
        move_to=move_to,
        strong=strong,
        sentence=_sentence(axis, side, (sum(close), len(close)), own, move_to),
    )


def _chance(axis: Axis) -> float:
    """Return the share of even values that lie within 5 % of one bound."""
    if axis.low is None or axis.high is None or not (axis.whole or axis.step):
        return NEAR
    values = 1 + round((axis.high - axis.low) / (axis.step or 1.0))
    return max(NEAR, 1 / values) if not axis.log else NEAR


def _moved(axis: Axis, side: str) -> float:
    """Return the bound, further out by a quarter of the range in its own scale, rounded."""
    low, high = axis.low or 0.0, axis.high or 0.0
    target = axis.value(-FURTHER if side == "low" else 1 + FURTHER)
    if axis.step or axis.whole:
        step = axis.step or 1.0
        away = max(1, round(abs(target - (low if side == "low" else high)) / step))
        moved = low - away * step if side == "low" else high + away * step
        return max(moved, 1.0) if axis.log or (side == "low" and low >= 1) else moved
    if side == "low" and low > 0 and not axis.log:
        target = max(target, 0.0)
    return rounded(target)


def rounded(value: float) -> float:
    """Return a value with two digits, which is what people write.

    >>> rounded(0.05324), rounded(-118.3)
    (0.053, -120.0)
    """
    return float(f"{value:.1e}")


def _sentence(axis: Axis, side: str, counted: tuple[int, int], own: object, move_to: float) -> str:
    bound = axis.low if side == "low" else axis.high
    near, top = counted
    text = f"{axis.name}: {near} of the best {top} trials lie within 5 % of its {side} end"
    text += f" ({bound:g})"
    if isinstance(own, int | float):
        text += f", the best one has {own:.3g}"
    verb = "lower" if side == "low" else "raise"
    return f"{text}. Try to {verb} {side} to {move_to:g}."
