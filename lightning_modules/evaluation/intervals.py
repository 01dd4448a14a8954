"""Intervals of metrics: percentiles over resamples of a split's rows (Efron, 1979).

A resample is how often each row was drawn, ``weights`` ``(rows,)``; a metric of weighted rows costs
no new sort, so that a thousand resamples take seconds.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_modules import label_metrics
from lightning_modules.label_metrics import share
from lightning_modules.metrics import (
    N_BINS,
    bins_of,
    brier_scores,
    compute,
    log_losses,
    shares_off,
)
from lightning_modules.task import METRICS, Metric

LEVEL = 0.95
RESAMPLES = 1000
FEWEST = 200
WORK = 500_000
"""Rows times classes up to which there are RESAMPLES; beyond, fewer, and never below FEWEST."""
ONE_VALUE = "every resample of the rows has the same value"
UNDEFINED = "most resamples of the rows leave it undefined"
UNMEASURED = "the metric has no value"
UNKNOWN = "only metrics are resampled"

AT_ONCE = 2_000_000
"""Rows times classes that are ranked together, for memory."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Group = Callable[[Floats], dict[str, float]]
"""From weights to the values of some metrics; NaN where one is undefined."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Low and high end by metric, None with its reason."""

    ci95: dict[str, list[float] | None]
    reasons: dict[str, str]
    resamples: int

    @property
    def null_because(self) -> dict[str, str]:
        """The reasons by the path of what is null in the findings."""
        return {f"ci95.{name}": why for name, why in self.reasons.items()}


def resample(
    values: Mapping[str, float | None],
    groups: list[Group],
    *,
    rows: tuple[int, int],
    seed: int,
    block: int = 1,
) -> Intervals:
    """Return an interval for each of ``values`` that ``groups`` know.

    Args:
        values: the metrics on all rows, by name; one that is None has no interval either.
        groups: what makes metrics of weights.
        rows: of the split, and the number of its classes, 1 for a regression.
        seed: the same seed draws the same rows.
        block: rows that follow one another are drawn together, so many at a time, where they are
            alike (the circular block bootstrap of Politis and Romano, 1992).
    """
    n_rows, n_classes = rows
    generator = np.random.default_rng(seed)
    n = resamples_for(n_rows, n_classes)
    drawn: dict[str, list[float]] = {}
    for _ in range(n):
        starts = generator.integers(0, n_rows, -(-n_rows // block))
        places = (starts[:, None] + np.arange(block)) % n_rows
        drawn_rows = places.reshape(-1)[:n_rows]
        weights = np.bincount(drawn_rows, minlength=n_rows).astype(np.float64)
        for group in groups:
            for name, value in group(weights).items():
                drawn.setdefault(name, []).append(value)
    ci95: dict[str, list[float] | None] = {}
    reasons: dict[str, str] = {}
    for name, measured in values.items():
        ends = UNMEASURED if measured is None else _ends(drawn.get(name))
        ci95[name] = None if isinstance(ends, str) else ends
        if isinstance(ends, str):
            reasons[name] = ends
    return Intervals(ci95=ci95, reasons=reasons, resamples=n)


def resamples_for(n_rows: int, n_classes: int) -> int:
    """Return how often the rows are resampled.

    >>> resamples_for(10_000, 10), resamples_for(1_000_000, 2), resamples_for(10**7, 10)
    (1000, 250, 200)
    """
    return max(FEWEST, min(RESAMPLES, RESAMPLES * WORK // (n_rows * n_classes)))


def _ends(drawn: list[float] | None) -> list[float] | str:
    """Return the ends of an interval, or why there is none."""
    if drawn is None:
        return UNKNOWN
    values = np.array(drawn)
    defined = values[np.isfinite(values)]
    if len(defined) <= len(values) / 2:
        return UNDEFINED
    if defined.max() - defined.min() <= 1e-12 * max(abs(float(defined.max())), 1.0):
        return ONE_VALUE
    ends: list[float] = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return ends


def with_functions(
    groups: list[Group],
    metrics: Iterable[str],
    outputs: Tensor,
    targets: Tensor,
    numbers: Mapping[str, float],
) -> list[Group]:
    """Return ``groups``, and one more that computes what none of them knows, row for row.

    Args:
        groups: what makes metrics of weights.
        metrics: names of what was measured; those that are no metric stay unknown.
        outputs: as metrics take them.
        targets: as metrics take them.
        numbers: of the loss, for the metrics that take them.
    """
    known = {name for group in groups for name in group(np.ones(len(targets)))}
    others = {name: METRICS[name] for name in metrics if name in METRICS and name not in known}

    def group(weights: Floats) -> dict[str, float]:
        rows = torch.from_numpy(np.repeat(np.arange(len(weights)), weights.astype(np.int64)))
        drawn = (outputs[rows], targets[rows], numbers)
        return {name: _value(metric, *drawn) for name, metric in others.items()}

    return [*groups, group] if others else groups


def _value(metric: Metric, outputs: Tensor, targets: Tensor, numbers: Mapping[str, float]) -> float:
    try:
        return compute(metric, outputs, targets, numbers)
    except Exception:  # noqa: BLE001  (a plugin's metric may not be defined for these rows)
        return math.nan


def class_groups(outputs: Tensor, targets: Tensor) -> list[Group]:
    """Return the groups of a classification: ``(rows, classes)`` and ``(rows,)``."""
    return [_means_of_classes(outputs, targets), _table(outputs, targets), _ranks(outputs, targets)]


def label_groups(outputs: Tensor, targets: Tensor) -> list[Group]:
    """Return the groups of labels: ``(rows, labels)`` both."""
    return [
        _means_of_labels(outputs, targets),
        _label_table(outputs, targets),
        _label_ranks(outputs, targets),
    ]


def number_groups(outputs: Tensor, targets: Tensor) -> list[Group]:
    """Return the groups of numbers: ``(rows,)`` both, or ``(rows, targets)``."""
    if targets.ndim == 1:
        return [_means_of_numbers(outputs, targets), _median(outputs, targets)]
    columns = zip(outputs.T, targets.T, strict=True)
    return [
        _mean_of(list(same)) for same in zip(*(number_groups(*c) for c in columns), strict=True)
    ]


def _mean_of(groups: list[Group]) -> Group:
    """Return the group of the means over the same group of several targets."""

    def group(weights: Floats) -> dict[str, float]:
        each = [one(weights) for one in groups]
        return {name: float(np.mean([values[name] for values in each])) for name in each[0]}

    return group


def _means_of_labels(outputs: Tensor, targets: Tensor) -> Group:
    right = (label_metrics.taken(outputs) == targets).to(outputs.dtype).mean(1)
    whole = label_metrics.right_rows(outputs, targets).to(outputs.dtype)
    rows = _floats(torch.stack([right, whole, log_losses(outputs, targets)]))

    def group(weights: Floats) -> dict[str, float]:
        names = ("accuracy", "subset_accuracy", "log_loss")
        return dict(zip(names, (rows @ weights / len(weights)).tolist(), strict=True))

    return group


def _label_table(outputs: Tensor, targets: Tensor) -> Group:
    found = label_metrics.taken(outputs)
    parts = [_floats(part.T) for part in (found * targets, targets, found)]

    def group(weights: Floats) -> dict[str, float]:
        return label_metrics.label_scores(*(part @ weights for part in parts))

    return group


def _label_ranks(outputs: Tensor, targets: Tensor) -> Group:
    scores, hits = _floats(outputs), targets.numpy() > 0
    there = np.flatnonzero(hits.any(0))
    at_once = max(1, AT_ONCE // len(hits))
    parts = [
        _Ranking.of(scores[:, some], hits[:, some])
        for some in (there[i : i + at_once] for i in range(0, len(there), at_once))
    ]

    def group(weights: Floats) -> dict[str, float]:
        pairs = np.concatenate([part.areas(weights) for part in parts] or [np.full((1, 2), np.nan)])
        each = [column[~np.isnan(column)] for column in pairs.T]
        roc, pr = (float(column.mean()) if len(column) else np.nan for column in each)
        return {"roc_auc": roc, "pr_auc": pr}

    return group


def _means_of_classes(outputs: Tensor, targets: Tensor) -> Group:
    n_rows = len(targets)
    confidence, found = outputs.max(1)
    gaps = _floats((found == targets).to(outputs.dtype) - confidence)
    bins = bins_of(confidence).numpy()
    rows = _floats(torch.stack([log_losses(outputs, targets), brier_scores(outputs, targets)]))

    def group(weights: Floats) -> dict[str, float]:
        means = rows @ weights / n_rows
        sums = np.bincount(bins, weights=weights * gaps, minlength=N_BINS)
        ece = float(np.abs(sums).sum()) / n_rows
        return {"log_loss": float(means[0]), "brier": float(means[1]), "ece": ece}

    return group


def _table(outputs: Tensor, targets: Tensor) -> Group:
    n_classes = outputs.shape[1]
    cells = (targets * n_classes + outputs.argmax(1)).numpy()

    def group(weights: Floats) -> dict[str, float]:
        counts = np.bincount(cells, weights=weights, minlength=n_classes**2)
        return table_metrics(np.asarray(counts, np.float64).reshape(n_classes, n_classes))

    return group


def table_metrics(table: Floats) -> dict[str, float]:
    """Return the metrics that a confusion table holds: classes by rows, found ones by columns."""
    hits, right, found = table.diagonal(), table.sum(1), table.sum(0)
    each = {
        "precision": share(hits, found),
        "recall": share(hits, right),
        "f1": share(2 * hits, right + found),
    }
    seen, present = right + found > 0, right > 0
    values = {
        "accuracy": float(hits.sum() / table.sum()),
        "balanced_accuracy": float(each["recall"][present].mean()),
    }
    for name, scores in each.items():
        values[name] = float(scores[1] if len(table) == 2 else scores[seen].mean())
        values[f"{name}_weighted"] = float(scores @ right / table.sum())
    return values


def _ranks(outputs: Tensor, targets: Tensor) -> Group:
    scores, labels = _floats(outputs), targets.numpy()
    present = np.unique(labels).tolist()
    classes = [one for one in present if one == 1 or outputs.shape[1] > 2]
    at_once = max(1, AT_ONCE // len(labels))
    parts = [
        _Ranking.of(scores[:, some], labels[:, None] == some)
        for some in (classes[i : i + at_once] for i in range(0, len(classes), at_once))
    ]

    def group(weights: Floats) -> dict[str, float]:
        pairs = np.concatenate([part.areas(weights) for part in parts] or [np.full((1, 2), np.nan)])
        drawn = pairs[~np.isnan(pairs[:, 1])]  # a class that was not drawn has no curve
        roc, pr = drawn.mean(0).tolist() if len(drawn) else (np.nan, np.nan)
        return {"roc_auc": roc, "pr_auc": pr}

    return group


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    """Rows sorted by the score of some classes, once: resamples only add up weights.

    Of rows with equal scores, a group, only those groups count that hold a row of the class.
    """

    order: Ints
    """Rows by falling score, ``(classes, rows)``."""
    hits: Ints
    """Places of the class's own rows in the flat order."""
    groups: Ints
    """Where a group begins in ``hits``."""
    before: Ints
    """Where a group begins, and ends, in flat sums with a leading 0 for each class."""
    through: Ints
    owner: Ints
    """The class of each group."""

    @classmethod
    def of(cls, scores: Floats, right: npt.NDArray[np.bool_]) -> "_Ranking":
        """Rank scores ``(rows, classes)``; ``right`` says which rows are of which class."""
        n_rows = len(right)
        order = np.argsort(-scores.T, axis=1, kind="stable")
        parts: list[tuple[Ints, ...]] = []
        n_hits = 0
        for i in range(len(order)):
            ranked = scores[order[i], i]
            tied = np.cumsum(np.diff(ranked, prepend=np.inf) != 0)
            hits = np.flatnonzero(right[order[i], i])
            groups = np.flatnonzero(np.diff(tied[hits], prepend=0))
            mine = tied[hits][groups]
            before, through = np.searchsorted(tied, mine), np.searchsorted(tied, mine, "right")
            sums = i * (n_rows + 1)
            owner = np.full(len(groups), i)
            parts.append((hits + i * n_rows, groups + n_hits, before + sums, through + sums, owner))
            n_hits += len(hits)
        hits, groups, before, through, owner = (np.concatenate(p) for p in zip(*parts, strict=True))
        return cls(
            order=order, hits=hits, groups=groups, before=before, through=through, owner=owner
        )

    def areas(self, weights: Floats) -> Floats:
        """Return the areas under ROC and PR curve of each class, ``(classes, 2)``."""
        n_classes, n_rows = self.order.shape
        drawn = weights[self.order]
        sums = np.zeros((n_classes, n_rows + 1))
        np.cumsum(drawn, axis=1, out=sums[:, 1:])
        found = sums.ravel()
        right = np.add.reduceat(drawn.ravel()[self.hits], self.groups)
        n_right = np.bincount(self.owner, weights=right, minlength=n_classes)
        earlier = np.concatenate([[0.0], np.cumsum(n_right)[:-1]])
        so_far = np.cumsum(right) - earlier[self.owner]
        n_wrong = weights.sum() - n_right
        above = found[self.before] - (so_far - right)
        beside = found[self.through] - found[self.before] - right
        below = n_wrong[self.owner] - above - beside / 2
        pr = np.bincount(self.owner, weights=right * share(so_far, found[self.through]))
        roc = np.bincount(self.owner, weights=right * below)
        with np.errstate(invalid="ignore"):
            return np.stack([roc / (n_right * n_wrong), pr / n_right], axis=1)


def _means_of_numbers(outputs: Tensor, targets: Tensor) -> Group:
    errors = outputs - targets
    shares = shares_off(outputs, targets)
    centred = _floats(targets) - float(_floats(targets).mean())
    columns = [_floats(errors.square()), _floats(errors.abs()), _floats(shares)]
    rows = np.stack([*columns, centred, centred**2])
    n_rows = len(targets)

    def group(weights: Floats) -> dict[str, float]:
        mse, mae, mape, mean, square = (rows @ weights / n_rows).tolist()
        spread = (square - mean**2) * n_rows
        r2 = 1 - mse * n_rows / spread if spread > 1e-12 else np.nan
        return {"mse": mse, "rmse": mse**0.5, "mae": mae, "mape": mape, "r2": r2}

    return group


def _median(outputs: Tensor, targets: Tensor) -> Group:
    errors = _floats((outputs - targets).abs())
    order = np.argsort(errors)
    middle = [(len(errors) - 1) // 2, len(errors) // 2]

    def group(weights: Floats) -> dict[str, float]:
        places = np.searchsorted(np.cumsum(weights[order]), middle, side="right")
        return {"median_ae": float(errors[order][places].mean())}

    return group


def _floats(values: Tensor) -> Floats:
    return values.numpy().astype(np.float64)
