"""ROC, precision against recall, and confidence against accuracy."""

from collections.abc import Sequence

from hpo.figures.svg import (
    DASHES,
    DIM,
    INK,
    PALETTE,
    Frame,
    Point,
    document,
    line,
    path,
    rect,
    text,
)
from hpo.words import short
from lightning_modules.evaluation.findings import Bin, Curve

FAINT = "#c4c4c4"
GAP = "#f2c29b"
SQUARE = (400.0, 400.0)
SIZE = (740.0, 560.0)
CORNER = (84.0, 92.0)


def roc_figure(curves: Sequence[Curve], about: str) -> str:
    """Return the ROC curves, worst first where there are many."""
    frame = Frame(corner=CORNER, size=SQUARE, x=(0, 1), y=(0, 1))
    points = {curve.name: [*zip(curve.x, curve.y, strict=True)] for curve in curves}
    chance = line(frame.at(0, 0), frame.at(1, 1), dash="3 4")
    parts = [
        *frame.axes("share of the other rows taken for the class", "share of the class found"),
        chance,
        *_lines(frame, curves, points, "area under the curve"),
    ]
    title = "How well is each class told from the rest? (ROC)"
    return document(SIZE, title, [about, _least(curves, "area under the curve")], parts)


def pr_figure(curves: Sequence[Curve], about: str) -> str:
    """Return precision against recall, worst first where there are many."""
    frame = Frame(corner=CORNER, size=SQUARE, x=(0, 1), y=(0, 1))
    parts = [
        *frame.axes("share of the class found (recall)", "share of the found that is right"),
        *_lines(frame, curves, {c.name: steps(c) for c in curves}, "average precision"),
    ]
    if len(curves) == 1:  # where every row is found, as many are right as there are
        share = curves[0].y[-1]
        parts.append(line(frame.at(0, share), frame.at(1, share), dash="3 4"))
    title = "How many of the found are right? (precision and recall)"
    return document(SIZE, title, [about, _least(curves, "average precision")], parts)


def reliability_figure(bins: Sequence[Bin], about: str) -> str:
    """Return accuracy by confidence, and how many rows have it."""
    frame = Frame(corner=CORNER, size=SQUARE, x=(0, 1), y=(0, 1))
    n_rows = sum(one.rows for one in bins)
    below = Frame(
        corner=(CORNER[0], CORNER[1] + SQUARE[1] + 62),
        size=(SQUARE[0], 70),
        x=(0, 1),
        y=(0, max(one.rows for one in bins) / n_rows),
    )
    parts = frame.axes("confidence: the probability of the predicted class", "accuracy")
    for one in bins:
        parts += [_column(frame, one, one.accuracy, PALETTE[0]), *_gap(frame, one)]
        parts.append(_column(below, one, one.rows / n_rows, FAINT))
    bottom = below.corner[1] + below.size[1]
    parts += [
        line(frame.at(0, 0), frame.at(1, 1), stroke=INK, dash="3 4"),
        line((CORNER[0], bottom), (CORNER[0] + SQUARE[0], bottom), stroke=INK),
        text((CORNER[0] - 52, bottom - 35), "rows", anchor="middle", turn=-90),
        _level((CORNER[0] - 7, below.corner[1] + 8), f"{below.y[1]:.0%}"),
        _level((CORNER[0] - 7, bottom), "0"),
        *_meanings((CORNER[0] + SQUARE[0] + 26, CORNER[1] + 12)),
    ]
    title = "Can its confidence be believed?"
    return document((SIZE[0], 660), title, [about, _trust(bins, n_rows)], parts)


def steps(curve: Curve) -> list[Point]:
    """Return precision over recall as the steps whose area is the average precision."""
    points = [(curve.x[0], curve.y[0])]
    for x, y in zip(curve.x[1:], curve.y[1:], strict=True):
        points += [(points[-1][0], y), (x, y)]
    return points


def _lines(
    frame: Frame, curves: Sequence[Curve], points: dict[str, list[Point]], word: str
) -> list[str]:
    """Return the curves and their names; of many, the worst in colour and the others faint."""
    many = len(curves) > len(PALETTE)
    ranked = sorted(curves, key=lambda curve: curve.area) if many else list(curves)
    bright, faint = ranked[: len(PALETTE)], ranked[len(PALETTE) :]
    parts = [
        path([frame.at(x, y) for x, y in points[curve.name]], stroke=FAINT, width=1)
        for curve in faint
    ]
    left, top = frame.corner[0] + frame.size[0] + 22, frame.corner[1] + 8
    parts.append(text((left, top), f"{word}, worst first" if many else word, size=11, fill=DIM))
    for i, (curve, colour, dash) in enumerate(zip(bright, PALETTE, DASHES, strict=False)):
        placed = [frame.at(x, y) for x, y in points[curve.name]]
        y = top + 22 + 20 * i
        parts += [
            path(placed, stroke=colour, dash=dash),
            line((left, y - 4), (left + 24, y - 4), stroke=colour, width=2.5, dash=dash),
            text((left + 31, y), f"{curve.area:.4f}  {short(curve.name, 16)}"),
        ]
    if faint:
        y = top + 22 + 20 * len(bright)
        parts += [
            line((left, y - 4), (left + 24, y - 4), stroke=FAINT, width=2.5),
            text((left + 31, y), f"{len(faint)} more, all higher", fill=DIM),
        ]
    return parts


def _least(curves: Sequence[Curve], word: str) -> str:
    if len(curves) == 1:
        return f"{short(curves[0].name)}: {word} {curves[0].area:.4f}."
    worst = min(curves, key=lambda curve: curve.area)
    return f"Worst: {short(worst.name)}, {word} {worst.area:.4f}."


def _column(frame: Frame, one: Bin, height: float, fill: str) -> str:
    left, top = frame.at(one.low, height)
    right, bottom = frame.at(one.high, 0)
    hint = f"{one.rows} rows: confidence {one.confidence:.3f}, accuracy {one.accuracy:.3f}"
    return rect((left + 0.5, top), (right - left - 1, bottom - top), fill=fill, hint=hint)


def _gap(frame: Frame, one: Bin) -> list[str]:
    """Return what lies between accuracy and confidence, and a line at the accuracy."""
    low, high = sorted((one.accuracy, one.confidence))
    left, top = frame.at(one.low, high)
    right, bottom = frame.at(one.high, low)
    level = frame.at(0, one.accuracy)[1]
    return [
        rect((left + 0.5, top), (right - left - 1, bottom - top), fill=GAP),
        line((left + 0.5, level), (right - 0.5, level), stroke=PALETTE[0], width=4),
    ]


def _level(at: Point, words: str) -> str:
    return text(at, words, size=11, anchor="end", fill=DIM)


def _meanings(corner: Point) -> list[str]:
    left, top = corner
    return [
        rect((left, top - 10), (14, 12), fill=PALETTE[0]),
        text((left + 20, top), "accuracy"),
        rect((left, top + 12), (14, 12), fill=GAP),
        text((left + 20, top + 22), "gap to the confidence"),
        line((left - 2, top + 40), (left + 16, top + 40), stroke=INK, dash="3 4"),
        text((left + 20, top + 44), "as sure as right"),
    ]


def _trust(bins: Sequence[Bin], n_rows: int) -> str:
    sure = sum(one.confidence * one.rows for one in bins) / n_rows
    right = sum(one.accuracy * one.rows for one in bins) / n_rows
    gap = sum(abs(one.accuracy - one.confidence) * one.rows for one in bins) / n_rows
    word = "too sure" if sure > right else "not sure enough"
    told = f"{sure:.1%} sure on average, {right:.1%} right: {word} by {abs(sure - right):.1%};"
    return f"{told} expected calibration error {gap:.4f}."
