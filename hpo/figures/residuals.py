"""Predictions of a regression against the truth, and how the errors are spread."""

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
from lightning_modules.evaluation.findings import Residuals

SQUARE = (340.0, 340.0)
TOP = 96.0


def residuals_figure(found: Residuals, about: str) -> str:
    """Return the picture: predicted against true on the left, the errors on the right."""
    parts = [*_against(found), *_spread(found)]
    title = "How far off are the predictions, and where?"
    bias = f"mean error {found.mean:.4g}, spread (sd) {found.sd:.4g}"
    low, high = found.quantiles["0.25"], found.quantiles["0.75"]
    half = f"half of the errors between {low:.4g} and {high:.4g}"
    return document((920, TOP + SQUARE[1] + 62), title, [about, f"{bias}; {half}."], parts)


def _against(found: Residuals) -> list[str]:
    truths, guesses = zip(*found.pairs, strict=True)
    ends = around(min(*truths, *guesses), max(*truths, *guesses))
    frame = Frame(corner=(84, TOP), size=SQUARE, x=ends, y=ends)
    dots = [
        circle(frame.at(truth, guess), 3, fill=PALETTE[0], opacity=0.5)
        for truth, guess in found.pairs
    ]
    diagonal = line(frame.at(*ends[:1] * 2), frame.at(*ends[1:] * 2), stroke=INK, dash="3 4")
    return [*frame.axes("true", "predicted"), diagonal, *dots]


def _spread(found: Residuals) -> list[str]:
    ends = around(min(found.edges[0], 0.0), max(found.edges[-1], 0.0))
    frame = Frame(corner=(530, TOP), size=SQUARE, x=ends, y=(0, max(found.counts) * 1.05))
    parts = frame.axes("error: predicted - true", "rows", counts=True)
    for low, high, count in zip(found.edges, found.edges[1:], found.counts, strict=False):
        left, top = frame.at(low, count)
        right, bottom = frame.at(high, 0)
        hint = f"{count} rows with errors from {low:.4g} to {high:.4g}"
        size = (max(right - left - 0.6, 0.4), bottom - top)
        parts.append(rect((left + 0.3, top), size, fill=PALETTE[0], hint=hint))
    zero, mean = frame.at(0, 0)[0], frame.at(found.mean, 0)[0]
    bottom = TOP + SQUARE[1]
    return [
        *parts,
        line((zero, TOP), (zero, bottom), stroke=INK, dash="3 4"),
        line((mean, TOP), (mean, bottom), stroke=PALETTE[1], width=2),
        text((mean + 5, TOP + 12), "mean", size=11, fill=PALETTE[1]),
    ]
