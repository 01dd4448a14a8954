"""Predictions of numbers against the truth, and how the errors are spread."""

from collections.abc import Sequence

from hpo.figures.svg import (
    INK,
    PALETTE,
    Frame,
    around,
    circle,
    document,
    line,
    rect,
    text,
)
from hpo.words import short
from lightning_modules.evaluation.findings import Residuals

TITLE = "How far off are the predictions, and where?"
SQUARE = (340.0, 340.0)
TOP = 96.0
APART = 112.0
"""Between the panels of several targets."""
MOST_TARGETS = 8


def residuals_figure(found: Residuals, about: str) -> str:
    """Return the picture: predicted against true on the left, the errors on the right."""
    parts = [*_against(found, TOP), *_spread(found, TOP)]
    bias = f"mean error {found.mean:.4g}, spread (sd) {found.sd:.4g}"
    low, high = found.quantiles["0.25"], found.quantiles["0.75"]
    half = f"half of the errors between {low:.4g} and {high:.4g}"
    return document((920, TOP + SQUARE[1] + 62), TITLE, [about, f"{bias}; {half}."], parts)


def targets_figure(each: Sequence[tuple[str, Residuals]], about: str) -> str:
    """Return the picture of several targets, one below the other, those first that come first."""
    parts: list[str] = []
    for i, (name, found) in enumerate(each[:MOST_TARGETS]):
        top = TOP + 30 + i * (SQUARE[1] + APART)
        parts += [text((24, top - 14), short(name, 60), size=14, bold=True)]
        parts += [*_against(found, top), *_spread(found, top)]
    n = min(len(each), MOST_TARGETS)
    told = f"{n} of {len(each)} targets" if n < len(each) else f"{n} targets"
    height = TOP + 30 + n * (SQUARE[1] + APART) - 50
    return document((920, height), TITLE, [about, f"{told}, each in its own units."], parts)


def _against(found: Residuals, top: float) -> list[str]:
    truths, guesses = zip(*found.pairs, strict=True)
    ends = around(min(*truths, *guesses), max(*truths, *guesses))
    frame = Frame(corner=(84, top), size=SQUARE, x=ends, y=ends)
    dots = [
        circle(frame.at(truth, guess), 3, fill=PALETTE[0], opacity=0.5)
        for truth, guess in found.pairs
    ]
    diagonal = line(frame.at(*ends[:1] * 2), frame.at(*ends[1:] * 2), stroke=INK, dash="3 4")
    return [*frame.axes("true", "predicted"), diagonal, *dots]


def _spread(found: Residuals, top: float) -> list[str]:
    ends = around(min(found.edges[0], 0.0), max(found.edges[-1], 0.0))
    frame = Frame(corner=(530, top), size=SQUARE, x=ends, y=(0, max(found.counts) * 1.05))
    parts = frame.axes("error: predicted - true", "rows", counts=True)
    for low, high, count in zip(found.edges, found.edges[1:], found.counts, strict=False):
        left, upper = frame.at(low, count)
        right, bottom = frame.at(high, 0)
        hint = f"{count} rows with errors from {low:.4g} to {high:.4g}"
        size = (max(right - left - 0.6, 0.4), bottom - upper)
        parts.append(rect((left + 0.3, upper), size, fill=PALETTE[0], hint=hint))
    zero, mean = frame.at(0, 0)[0], frame.at(found.mean, 0)[0]
    bottom = top + SQUARE[1]
    return [
        *parts,
        line((zero, top), (zero, bottom), stroke=INK, dash="3 4"),
        line((mean, top), (mean, bottom), stroke=PALETTE[1], width=2),
        text((mean + 5, top + 12), "mean", size=11, fill=PALETTE[1]),
    ]
