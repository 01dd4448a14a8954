"""Metrics: one number from all outputs and targets of a split.

Outputs are probabilities ``(rows, classes)``, for binary tasks with two columns, or predictions
``(rows,)`` in the target's own units; targets are ``(rows,)``. Precision, recall and F1 are those
of the second class of two, and the unweighted mean over classes (macro) of more.
"""

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torchmetrics import functional as measure
from torchmetrics.functional.classification import binary_auroc, multiclass_auroc

from lightning_modules.task import METRICS, Metric


def compute(metric: Metric, outputs: Tensor, targets: Tensor) -> float:
    """Return the value of ``metric``."""
    function: Any = metric.compute
    if isinstance(function, str):
        module, name = function.split(":")
        function = getattr(import_module(module), name)
    return float(function(outputs, targets))


def metrics_of(kind: str, *, objective: str | None, everything: bool) -> dict[str, Metric]:
    """Return the metrics of a task kind: those of each validation and the objective, or all."""
    return {
        name: metric
        for name, metric in METRICS.items()
        if kind in metric.kinds and (everything or metric.each_validation or name == objective)
    }


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of rows whose most probable class is the right one."""
    return (outputs.argmax(1) == targets).float().mean()


def balanced_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean, over the classes in this split, of the share found."""
    found = (outputs.argmax(1) == targets).float()
    present = torch.bincount(targets).nonzero()[:, 0]
    return torch.stack([found[targets == one].mean() for one in present]).mean()


def precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the found that are right."""
    return _per_class(measure.precision, outputs, targets)


def recall(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the right that are found."""
    return _per_class(measure.recall, outputs, targets)


def f1(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the harmonic mean of precision and recall."""
    return _per_class(measure.f1_score, outputs, targets)


def roc_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the area under the ROC curve; of more than two classes, each against the rest."""
    with warnings.catch_warnings():
        # A class without a row in this split has no curve; torchmetrics says so each time.
        warnings.filterwarnings("ignore", message=".*samples in targets.*")
        if outputs.shape[1] == 2:
            return binary_auroc(outputs[:, 1], targets)
        n_classes = outputs.shape[1]
        each = multiclass_auroc(outputs, targets, num_classes=n_classes, average="none")
        return each[torch.bincount(targets).nonzero()[:, 0]].mean()


def log_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of -log of the right class's probability, clipped at the type's epsilon."""
    right = outputs.gather(1, targets[:, None]).clamp_min(torch.finfo(outputs.dtype).eps)
    return -right.log().mean()


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error."""
    return (outputs - targets).square().mean()


def rmse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the root of the mean squared error, in the target's units."""
    return mse(outputs, targets).sqrt()


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean absolute error, in the target's units."""
    return (outputs - targets).abs().mean()


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - squared error / variance; 0 is as good as predicting the mean."""
    spread = (targets - targets.mean()).square().sum()
    return 1 - (outputs - targets).square().sum() / spread.clamp_min(1e-12)


def confusion(outputs: Tensor, targets: Tensor) -> list[list[int]]:
    """Return how many rows of each class (first index) were taken for each class (second)."""
    n_classes = outputs.shape[1]
    flat = targets * n_classes + outputs.argmax(1)
    counts = torch.bincount(flat, minlength=n_classes**2).view(n_classes, n_classes)
    table: list[list[int]] = counts.tolist()
    return table


def _per_class(function: Callable[..., Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape[1] == 2:
        return function(outputs.argmax(1), targets, task="binary")
    return function(
        outputs.argmax(1),
        targets,
        task="multiclass",
        num_classes=outputs.shape[1],
        average="macro",
    )
