"""By what ensembles are chosen and judged: the study's objective, and a loss where it is equal."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hpo.ship.combined import Doubles, Floats
from lightning_modules.config import RunConfig
from lightning_modules.data.frames import Array
from lightning_modules.evaluation.intervals import (
    Group,
    class_groups,
    label_groups,
    number_groups,
    with_functions,
)
from lightning_modules.metrics import compute
from lightning_modules.module import loss_numbers
from lightning_modules.packaged.agreeing import LEAST
from lightning_modules.task import METRICS, NUMBERS

_ABSOLUTE = ("mae", "median_ae", "mape")
Weighted: TypeAlias = Callable[[Doubles], float]
"""From how often each row counts, ``(rows,)``, to the value of a metric."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The metric that the study is judged by, on outputs and targets as metrics take them."""

    kind: str
    """Of the task."""
    metric: str
    direction: str
    numbers: Mapping[str, float]
    """Of the loss, for the metrics that take them."""

    @classmethod
    def of(cls, config: RunConfig) -> "Objective":
        """Return the objective of a config of one of our families."""
        return cls(
            kind=str(config.kind),
            metric=config.objective.metric,
            direction=str(config.objective.direction),
            numbers=loss_numbers(config),
        )

    def value(self, outputs: Floats, targets: Array) -> float:
        """Return the metric's value; NaN where these rows leave it undefined."""
        return compute(METRICS[self.metric], *_tensors(outputs, targets), self.numbers)

    def gain(self, value: float, other: float) -> float:
        """Return by how much ``value`` is better than another."""
        return value - other if self.direction == "maximize" else other - value

    def merit(self, outputs: Floats, targets: Array) -> tuple[float, float]:
        """Return what is greater for better outputs: the metric first, then the loss."""
        quick = self.metric == "roc_auc" and self.kind not in NUMBERS
        value = areas(outputs, targets) if quick else self.value(outputs, targets)
        good = self.gain(value, 0.0)
        return good if math.isfinite(good) else -math.inf, -self.loss(outputs, targets)

    @property
    def quantile(self) -> float | None:
        """Of numbers, the quantile that the metric asks for; None is the mean."""
        if self.metric == "pinball":
            return self.numbers["quantile"]
        return 0.5 if self.metric in _ABSOLUTE else None

    def loss(self, outputs: Floats, targets: Array) -> float:
        """Return the loss that goes with the metric.

        Of probabilities the mean of -log of the right class's, or of each label's right value; of
        numbers the mean squared or, where the metric asks for a quantile, pinball loss, each target
        in standard deviations.
        """
        if self.kind not in NUMBERS:
            return float(self.log_losses(outputs, targets).mean())
        errors = scaled_errors(outputs[None].astype(np.float64), targets)[0]
        return float(row_losses(errors, self.quantile).mean())

    @property
    def has_log_loss(self) -> bool:
        """Whether a log loss may see what the metric does not: of probabilities, another metric."""
        return self.kind not in NUMBERS and self.metric != "log_loss"

    def log_losses(self, outputs: Floats, targets: Array) -> Doubles:
        """Return the log loss of each row of probabilities, ``(rows,)``; of labels their mean."""
        right = right_probabilities(outputs[None].astype(np.float64), targets, self.kind)
        return np.asarray(-np.log(np.maximum(right, LEAST)).reshape(len(targets), -1).mean(axis=1))

    def of_weights(self, outputs: Floats, targets: Array, *, even: bool) -> Weighted:
        """Return what gives the metric's value for any weights of the rows.

        Args:
            outputs: as metrics take them.
            targets: likewise.
            even: whether weights are counts that add up to the number of rows.
        """
        o, t = _tensors(outputs, targets)
        known = self._groups(o, t) if even else []
        groups = with_functions(known, [self.metric], o, t, self.numbers)
        once = np.ones(len(t))
        group = next(one for one in groups if self.metric in one(once))
        return lambda weights: group(weights)[self.metric]

    def _groups(self, outputs: Tensor, targets: Tensor) -> list[Group]:
        if self.kind in NUMBERS:
            return number_groups(outputs, targets)
        make = label_groups if self.kind == "multilabel" else class_groups
        return make(outputs, targets)


def areas(outputs: Floats, targets: Array) -> float:
    """Return the area under the ROC curve as `lightning_modules.metrics.roc_auc`, from ranks.

    That is Mann and Whitney's statistic; it takes a tenth of the time, and ensembles ask often.
    """
    from scipy.stats import rankdata

    hits = targets > 0 if targets.ndim == 2 else targets[:, None] == np.arange(outputs.shape[1])
    if targets.ndim == 1 and outputs.shape[1] == 2:
        outputs, hits = outputs[:, 1:], hits[:, 1:]
    n_hits = hits.sum(axis=0)
    ranked = n_hits > 0
    if targets.ndim == 2:
        ranked &= n_hits < len(targets)
    if not ranked.any():
        return 0.0
    n_hits, n_others = n_hits[ranked], len(targets) - n_hits[ranked]
    sums = (rankdata(outputs[:, ranked], axis=0) * hits[:, ranked]).sum(axis=0)
    above = sums - n_hits * (n_hits + 1) / 2
    return float((above / np.maximum(n_hits * n_others, 1)).mean())


def right_probabilities(parts: Doubles, targets: Array, kind: str) -> Doubles:
    """Return what networks gave to what was right: ``(networks, rows)``, of labels one each.

    Args:
        parts: probabilities, ``(networks, rows, classes or labels)``.
        targets: class numbers ``(rows,)``, or 0 and 1 ``(rows, labels)``.
        kind: of the task.
    """
    if kind == "multilabel":
        return np.where(targets > 0, parts, 1.0 - parts).reshape(len(parts), -1)
    return np.asarray(parts[:, np.arange(len(targets)), targets])


def scaled_errors(parts: Doubles, targets: Array) -> Doubles:
    """Return targets less numbers, ``(networks, values)``, each target in standard deviations."""
    truth = np.asarray(targets, dtype=np.float64)
    spread = truth.std(axis=0)
    errors = (truth - parts) / np.where(spread > 0, spread, 1.0)
    return np.asarray(errors.reshape(len(parts), -1))


def row_losses(errors: Doubles, quantile: float | None) -> Doubles:
    """Return the loss of each error, a target less its prediction."""
    if quantile is None:
        return np.square(errors)
    return np.maximum(quantile * errors, (quantile - 1.0) * errors)


def _tensors(outputs: Floats, targets: npt.NDArray[np.generic]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.ascontiguousarray(outputs)), torch.from_numpy(targets)
