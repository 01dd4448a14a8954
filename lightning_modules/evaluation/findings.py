"""What an evaluation found on one split, JSON both ways; no torch."""

import math
from collections.abc import Mapping
from typing import Any

from lightning_modules.settings import Settings


class ClassScores(Settings):
    """One class against the rest."""

    name: str
    rows: int
    """Rows of this class."""
    found: int
    """Rows taken for this class."""
    precision: float | None
    recall: float | None
    f1: float | None


class Curve(Settings):
    """A curve of one class against the rest, from left to right, thinned.

    ROC: false positive rate and true positive rate; PR: recall and precision.
    """

    name: str
    x: list[float]
    y: list[float]
    area: float
    """Of all points; the average precision for PR."""


class Bin(Settings):
    """The rows whose confidence lies in ``(low, high]``; bins without a row are left out."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


class Residuals(Settings):
    """Predictions minus targets, in the target's units."""

    mean: float
    sd: float
    quantiles: dict[str, float]
    edges: list[float]
    """The edges of a histogram's bins: one more than ``counts``."""
    counts: list[int]
    pairs: list[list[float]]
    """Target and prediction of some rows, spread evenly over the sorted targets."""
    largest: list[list[float]]
    """Target and prediction of the rows with the largest errors, worst first."""


class TargetScores(Settings):
    """One of several numbers that are predicted of each row, or one step of a forecast."""

    name: str
    metrics: dict[str, float | None]
    residuals: Residuals | None


class Findings(Settings):
    """Everything that is known of a config on one split; what is None is named with its reason."""

    task: str | None
    n_rows: int | None
    metrics: dict[str, float | None]
    ci95: dict[str, list[float] | None]
    """Low and high end by metric: percentiles over resamples of the rows."""
    resamples: int
    classes: list[str] | None
    per_class: list[ClassScores] | None
    confusion: list[list[int]] | None
    """Rows of each class (first index) that were taken for each class (second)."""
    roc: list[Curve] | None
    pr: list[Curve] | None
    reliability: list[Bin] | None
    residuals: Residuals | None
    per_target: list[TargetScores] | None = None
    """Of several numbers a row, each; ``metrics`` are their means."""
    null_because: dict[str, str]
    """Why each None is None, by its dotted path."""

    def plain(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return self.model_dump(mode="json")


def measured(
    metrics: Mapping[str, float], undefined: Mapping[str, str], *, where: str = "metrics"
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the metrics, None where they say nothing, and why that is so by dotted path.

    Args:
        metrics: what was measured.
        undefined: the metrics that say nothing, and why.
        where: the path before the metric's name.
    """
    why = {name: undefined[name] for name in metrics if name in undefined}
    why |= {name: f"it is {value}" for name, value in metrics.items() if not math.isfinite(value)}
    values = {name: None if name in why else value for name, value in metrics.items()}
    return values, {f"{where}.{name}": reason for name, reason in why.items()}
