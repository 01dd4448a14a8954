"""The learning curve of a trial: objective and losses by epoch, and which epoch was kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.figures.svg import (
    DASHES,
    DIM,
    GRID,
    INK,
    PALETTE,
    Frame,
    around,
    circle,
    document,
    line,
    path,
    text,
    tick,
    ticks,
)
from hpo.records import TrialRecord
from hpo.words import short

Row = Mapping[str, float]
TITLE = "Did training go well?"
FOLDS_TITLE = "How do the folds go?"
MOST_POINTS = 48
"""Of one line; more cannot be told apart."""
SIZE, TOP, LEFT, APART = (290.0, 170.0), 106.0, 66.0, 84.0
ENDS = {
    "max_epochs": "all epochs are trained",
    "early_stopping": "it stopped early",
    "pruner": "the pruner stopped it",
    "user": "stopped by hand",
}
STEEP = 30.0
"""From this ratio of the largest loss to the least on, losses are drawn on a logarithmic scale."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is drawn, and what is said about it."""

    rows: Sequence[Row]
    """Of each validation: ``epoch``, ``objective``, and every metric by its name."""
    about: str
    metric: str
    direction: str
    ended: str
    """Why the training ended, in words."""
    folds: bool = False
    """Whether each row is a fold, with the means up to it."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    name: str
    points: Sequence[tuple[float, float]]


def course_of(record: TrialRecord, rows: Sequence[Row], *, metric: str, direction: str) -> Course:
    """Return the course of a trial that has ended."""
    folds = record.config.get("data", {}).get("folds") is not None
    folds = folds and record.config["data"].get("fold") is None
    if record.run is not None:
        ended = ENDS[record.run.stopped_by]
    else:
        ended = f"failed: {record.reason}"
    about = f"{record.study}, trial {record.number}, {record.state}"
    return Course(
        rows=rows, about=about, metric=metric, direction=direction, ended=ended, folds=folds
    )


def learning_figure(course: Course) -> str:
    """Return the picture; objective on the left, losses on the right where there are some."""
    best = best_row(course)
    objective = [
        _line(f"validation {short(course.metric, 20)}", course, "objective"),
        _line(f"training {short(course.metric, 20)}", course, f"train/{_plain(course.metric)}"),
    ]
    losses = [
        _line("validation loss", course, "val/loss", "val_loss", "valid_loss"),
        _line("training loss", course, "train/loss"),
    ]
    sides = [[one for one in side if one.points] for side in (objective, losses)]
    panels = [side for side in sides if side]
    n = len(panels)
    parts: list[str] = []
    for i, lines in enumerate(panels):
        left = LEFT + i * (SIZE[0] + APART)
        parts += _panel(lines, left, _at(course, best), loss=i == 1)
        at = (left + SIZE[0] / 2, TOP + SIZE[1] + 32)
        words = "folds trained" if course.folds else "epochs"
        parts.append(text(at, words, size=11, anchor="middle"))
    width = LEFT + n * SIZE[0] + (n - 1) * APART + 24
    title = FOLDS_TITLE if course.folds else TITLE
    answer = [course.about, *_words(course, best)]
    return document((width, TOP + SIZE[1] + 70), title, answer, parts)


def best_row(course: Course) -> Row:
    """Return the validation that was kept: the best; of equal ones that of the least loss.

    Of folds that is the last, the mean of all.
    """
    if course.folds:
        return course.rows[-1]
    sign = -1 if course.direction == "maximize" else 1
    return min(course.rows, key=lambda row: (sign * row["objective"], row.get("val/loss", 0.0)))


def _at(course: Course, row: Row) -> float:
    return row["validation"] if course.folds else row["epoch"]


def _line(name: str, course: Course, *columns: str) -> _Line:
    """Return the first of the columns that there is, thinned."""
    found = next((c for c in columns if any(c in row for row in course.rows)), None)
    rows = [row for row in course.rows if found in row] if found else []
    points = [(_at(course, row), row[found]) for row in rows] if found else []
    step = max(1, math.ceil(len(points) / MOST_POINTS))
    kept = [*points[::-step][::-1]]  # the last one always
    return _Line(name=name, points=kept)


def _panel(lines: Sequence[_Line], left: float, best: float, *, loss: bool) -> list[str]:
    values = [y for one in lines for _, y in one.points]
    steep = loss and min(values) > 0 and max(values) / min(values) > STEEP
    scaled = [[(x, math.log10(y) if steep else y) for x, y in one.points] for one in lines]
    ys = [y for points in scaled for _, y in points]
    xs = [x for points in scaled for x, _ in points]
    ends = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) - 0.5, max(xs) + 0.5)
    frame = Frame(corner=(left, TOP), size=SIZE, x=ends, y=around(min(ys), max(ys)))
    parts = [*_axes(frame, steep=steep)]
    kept = frame.at(best, frame.y[0])[0]
    parts.append(line((kept, TOP), (kept, TOP + SIZE[1]), stroke=PALETTE[2], dash="3 3"))
    for i, (one, points) in enumerate(zip(lines, scaled, strict=True)):
        placed = [frame.at(x, y) for x, y in points]
        parts.append(path(placed, stroke=PALETTE[i], width=1.8, dash=DASHES[i]))
        if len(placed) == 1:
            parts.append(circle(placed[0], 3, fill=PALETTE[i]))
        at = (left + 4 + i * SIZE[0] / 2, TOP + SIZE[1] + 52)
        parts += [
            line((at[0], at[1] - 4), (at[0] + 18, at[1] - 4), stroke=PALETTE[i], width=2),
            text((at[0] + 23, at[1]), one.name, size=11),
        ]
    return parts


def _axes(frame: Frame, *, steep: bool) -> list[str]:
    (left, top), (width, height) = frame.corner, frame.size
    bottom, parts = top + height, []
    for value in ticks(*frame.x, n=4):
        if value == int(value):
            at = (frame.at(value, frame.y[0])[0], bottom + 15)
            parts.append(text(at, tick(value), size=10, anchor="middle", fill=DIM))
    for value in ticks(*frame.y, n=4):
        y = frame.at(frame.x[0], value)[1]
        name = f"{10**value:.2g}" if steep else tick(value)
        parts.append(line((left, y), (left + width, y), stroke=GRID))
        parts.append(text((left - 6, y + 3), name, size=10, anchor="end", fill=DIM))
    return [*parts, line((left, bottom), (left + width, bottom), stroke=INK)]


def _words(course: Course, best: Row) -> list[str]:
    value = f"{course.metric} {best['objective']:.4g}"
    if course.folds:
        n = len(course.rows)
        return [f"{value}, the mean of {n} fold{'s' if n > 1 else ''}; {course.ended}."]
    last = course.rows[-1]
    said = f"{value} at epoch {best['epoch']:g} of {last['epoch']:g}, the best; {course.ended}."
    return [said, *_after(course, best, last)]


def _after(course: Course, best: Row, last: Row) -> list[str]:
    """Return how the losses went on behind the best epoch, and how far they are apart there."""
    told = []
    names = ("val/loss", "train/loss")
    if all(name in row for row in (best, last) for name in names) and best is not last:
        val, train = (last[name] - best[name] for name in names)
        if val > 0 and train < 0 and best["val/loss"] > 0:
            share = val / best["val/loss"]
            told.append(f"After it the training loss fell, that of validation rose by {share:.0%}.")
    own = f"train/{_plain(course.metric)}"
    if not told and own in best:
        gap = abs(best[own] - best["objective"])
        told.append(f"Rows of training reach {best[own]:.4g} there, {gap:.2g} from validation.")
    return told


def _plain(metric: str) -> str:
    return metric.removeprefix("val/").removeprefix("val_")
