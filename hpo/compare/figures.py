"""The pictures of a comparison: the differences with their intervals, and the searches."""

from collections.abc import Sequence

from hpo.compare.comparison import Comparison, Verdict
from hpo.compare.standing import Step, history
from hpo.compare.tables import budget_words
from hpo.figures.svg import (
    DASHES,
    DIM,
    INK,
    PALETTE,
    Frame,
    Point,
    around,
    circle,
    document,
    line,
    path,
    text,
)
from hpo.words import arrow, short

ROW = 34.0


def differences_figure(comparison: Comparison) -> str | None:
    """Return the differences with their 95 % intervals; None if there is no interval."""
    shown = [one for one in comparison.verdicts if one.weighed.low is not None]
    ends = [end for one in shown for end in (one.weighed.low, one.weighed.high) if end is not None]
    if not ends:
        return None
    low, high = around(min(0.0, *ends), max(0.0, *ends), 0.08)
    frame = Frame(corner=(300, 92), size=(470, ROW * len(shown)), x=(low, high), y=(0, len(shown)))
    side = comparison.sides[0]
    word = f"difference in {side.metric} {arrow(side.direction)}"
    parts = [part for part in frame.axes(word, "", counts=True) if not _y_tick(part)]
    parts.append(line(frame.at(0, 0), frame.at(0, len(shown)), stroke=INK, dash="4 3"))
    for i, one in enumerate(shown):
        parts += _row(frame, one, len(shown) - i - 0.5)
    told = sum(one.outcome == "better" for one in shown)
    answer = f"A winner is named in {told} of {len(shown)}: there the interval leaves 0 out."
    size = (820.0, 92 + ROW * len(shown) + 56)
    return document(size, "How large are the differences?", [answer], parts)


def searches_figure(comparison: Comparison) -> str | None:
    """Return the best so far of each study against what it had spent; None without values."""
    at = comparison.budget.at
    steps = {side.label: _found(history(side, at)) for side in comparison.sides}
    points = [point for found in steps.values() for point in found]
    if not comparison.comparable or not points:
        return None
    x = (0.0, max(spent for spent, _ in points) * 1.02)
    frame = Frame(
        corner=(84, 92),
        size=(520, 300),
        x=x,
        y=around(min(value for _, value in points), max(value for _, value in points), 0.08),
    )
    side = comparison.sides[0]
    word = {"trials": "trials ended", "epochs": "epochs", "seconds": "seconds of training"}[at]
    parts = frame.axes(word, f"best {side.metric} {arrow(side.direction)}")
    parts.append(
        line(
            frame.at(comparison.budget.amount, frame.y[0]),
            frame.at(comparison.budget.amount, frame.y[1]),
            dash="4 3",
        )
    )
    for i, (label, found) in enumerate(steps.items()):
        colour, dash = PALETTE[i % len(PALETTE)], DASHES[i % len(DASHES)]
        y = 104 + 20 * i
        parts += [
            path([frame.at(*point) for point in _stairs(found)], stroke=colour, dash=dash),
            *(circle(frame.at(*point), 2.5, fill=colour) for point in found),
            line((624, y - 4), (648, y - 4), stroke=colour, width=2.5, dash=dash),
            text((655, y), short(label, 22), fill=DIM),
        ]
    answer = f"The dashed line is the equal budget: {budget_words(comparison.budget)}."
    height = max(450.0, 124 + 20 * len(steps))
    return document((820, height), "Which search found more for the same?", [answer], parts)


def _row(frame: Frame, one: Verdict, y: float) -> list[str]:
    found = one.weighed
    if found.difference is None or found.low is None or found.high is None:
        return []
    colour = PALETTE[0] if one.outcome == "better" else DIM
    left, right = frame.at(found.low, y), frame.at(found.high, y)
    label = f"{short(one.a, 17)} – {short(one.b, 17)}"
    return [
        line(left, right, stroke=colour, width=3),
        *(line((x, at - 6), (x, at + 6), stroke=colour, width=2) for x, at in (left, right)),
        circle(frame.at(found.difference, y), 5, fill=colour),
        text((288, left[1] + 4), label, anchor="end", size=12),
    ]


def _y_tick(part: str) -> bool:
    """Return whether a part of the axes numbers the rows, which have names."""
    return part.startswith("<text") and 'text-anchor="end"' in part


def _found(steps: Sequence[Step]) -> list[Point]:
    """Return where a better value came, and the end."""
    points = [(step.spent, step.best) for step in steps if step.best is not None]
    turns = [point for i, point in enumerate(points) if i == 0 or point[1] != points[i - 1][1]]
    return turns if turns[-1:] == points[-1:] else [*turns, points[-1]]


def _stairs(points: Sequence[Point]) -> list[Point]:
    """Return points as stairs: what was best stays so until something better ends."""
    stairs: list[Point] = []
    for spent, best in points:
        if stairs:
            stairs.append((spent, stairs[-1][1]))
        stairs.append((spent, best))
    return stairs
