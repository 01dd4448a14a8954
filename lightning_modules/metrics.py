"""Metrics: one number from all outputs and targets of a split.

Outputs are probabilities ``(rows, classes)``, for binary tasks with two columns, or predictions
``(rows,)`` in the target's own units; targets are ``(rows,)``. Precision, recall and F1 are those
of the second class of two, and the unweighted mean over classes (macro) of more; ``_weighted``
are means over all classes, of two as well, each with the weight of its rows. All agree with
scikit-learn on splits where that defines them, and are finite where it does not.

Of several numbers a row, outputs and targets ``(rows, targets)``, a metric is the mean of what it
is for each of them, scikit-learn's uniform average. Of labels, probabilities and whole 0 and 1
``(rows, labels)``, see `lightning_modules.label_metrics`.
"""

import warnings
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torchmetrics import functional as measure
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_auroc,
    multiclass_average_precision,
)

from lightning_modules import label_metrics
from lightning_modules.task import METRICS, Metric

N_BINS = 15
"""Bins of equal width in which confidence is held against accuracy."""
Rank = Callable[..., Tensor]


def compute(
    metric: Metric, outputs: Tensor, targets: Tensor, numbers: Mapping[str, float] | None = None
) -> float:
    """Return the value of ``metric``; of several numbers a row, the mean over them.

    Args:
        metric: which.
        outputs: probabilities or predictions.
        targets: what was right.
        numbers: of the loss, from which ``metric`` takes what it names.
    """
    function: Any = metric.compute
    if isinstance(function, str):
        module, name = function.split(":")
        function = getattr(import_module(module), name)
    taken = {name: (numbers or {})[name] for name in metric.takes}
    if targets.ndim == 2 and targets.is_floating_point():
        each = [function(o, t, **taken) for o, t in zip(outputs.T, targets.T, strict=True)]
        return _logged(sum(map(float, each)) / len(each))
    return _logged(float(function(outputs, targets, **taken)))


def _logged(value: float) -> float:
    """Return a value as Lightning logs it: what is measured again equals what was recorded."""
    return torch.tensor(value, dtype=torch.float32).item()


def metrics_of(
    kind: str, *, objective: str | None, everything: bool, numbers: Collection[str] = ()
) -> dict[str, Metric]:
    """Return the metrics of a task kind: those of each validation and the objective, or all.

    Args:
        kind: of the task.
        objective: the metric that is always among them.
        everything: return all.
        numbers: of the loss; a metric that takes others is left out.
    """
    return {
        name: metric
        for name, metric in METRICS.items()
        if kind in metric.kinds
        and set(metric.takes) <= set(numbers)
        and (everything or metric.each_validation or name == objective)
    }


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of rows whose most probable class is right; of labels, of all of them."""
    found = label_metrics.taken(outputs) if targets.ndim == 2 else outputs.argmax(1)
    return (found == targets).float().mean()


def subset_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of rows of which all labels are right."""
    return label_metrics.right_rows(outputs, targets).float().mean()


def balanced_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean, over the classes in this split, of the share found."""
    found = (outputs.argmax(1) == targets).float()
    present = torch.bincount(targets).nonzero()[:, 0]
    return torch.stack([found[targets == one].mean() for one in present]).mean()


def precision(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the found that are right."""
    if targets.ndim == 2:
        return label_metrics.score("precision", outputs, targets)
    return _per_class(measure.precision, outputs, targets)


def precision_micro(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the precision of all labels together."""
    return label_metrics.score("precision_micro", outputs, targets)


def precision_weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the precision of all classes, each with the weight of its rows."""
    if targets.ndim == 2:
        return label_metrics.score("precision_weighted", outputs, targets)
    return _weighted(measure.precision, outputs, targets)


def recall(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the right that are found."""
    if targets.ndim == 2:
        return label_metrics.score("recall", outputs, targets)
    return _per_class(measure.recall, outputs, targets)


def recall_micro(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the recall of all labels together."""
    return label_metrics.score("recall_micro", outputs, targets)


def recall_weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the recall of all classes, each with the weight of its rows: the accuracy."""
    if targets.ndim == 2:
        return label_metrics.score("recall_weighted", outputs, targets)
    return _weighted(measure.recall, outputs, targets)


def f1(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the harmonic mean of precision and recall."""
    if targets.ndim == 2:
        return label_metrics.score("f1", outputs, targets)
    return _per_class(measure.f1_score, outputs, targets)


def f1_micro(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the F1 of all labels together."""
    return label_metrics.score("f1_micro", outputs, targets)


def f1_weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the F1 of all classes, each with the weight of its rows."""
    if targets.ndim == 2:
        return label_metrics.score("f1_weighted", outputs, targets)
    return _weighted(measure.f1_score, outputs, targets)


def roc_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the area under the ROC curve; of more than two classes, each against the rest."""
    if targets.ndim == 2:
        return label_metrics.roc_auc(outputs, targets)
    return _per_rank(binary_auroc, multiclass_auroc, outputs, targets)


def pr_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the average precision; of more than two classes, each against the rest."""
    if targets.ndim == 2:
        return label_metrics.pr_auc(outputs, targets)
    return _per_rank(binary_average_precision, multiclass_average_precision, outputs, targets)


def log_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of -log of the right class's probability, clipped at the type's epsilon."""
    return log_losses(outputs, targets).mean()


def log_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return -log of the right class's probability of each row, ``(rows,)``."""
    if targets.ndim == 2:
        return label_metrics.log_losses(outputs, targets)
    right = outputs.gather(1, targets[:, None])[:, 0]
    return -right.clamp_min(torch.finfo(outputs.dtype).eps).log()


def brier(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the Brier score: the mean squared error of the probabilities.

    Of two classes that of the second one's, in 0..1; of more the sum over them, in 0..2.
    """
    return brier_scores(outputs, targets).mean()


def brier_scores(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of each row's probabilities, ``(rows,)``."""
    errors = outputs.clone()
    errors[torch.arange(len(targets), device=outputs.device), targets] -= 1
    squared = errors.square_()
    return squared[:, 1] if outputs.shape[1] == 2 else squared.sum(1)


def ece(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the expected calibration error (Guo et al., 2017).

    Rows are put into bins by their confidence, the probability of the most probable class; the
    difference of mean confidence and accuracy is averaged over bins by their rows. Torchmetrics
    puts a confidence of 1 into a bin of its own, beyond the last one.
    """
    confidence, found = outputs.max(1)
    gaps = (found == targets).to(outputs.dtype) - confidence
    sums = gaps.new_zeros(N_BINS).index_add_(0, bins_of(confidence), gaps)
    return sums.abs().sum() / len(targets)


def bins_of(confidence: Tensor) -> Tensor:
    """Return the number of each confidence's bin, ``(rows,)``; an edge belongs to the lower one."""
    edges = torch.linspace(0, 1, N_BINS + 1, dtype=confidence.dtype, device=confidence.device)
    return torch.bucketize(confidence, edges[1:-1])


def mse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error."""
    return (outputs - targets).square().mean()


def rmse(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the root of the mean squared error, in the target's units."""
    return mse(outputs, targets).sqrt()


def mae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean absolute error, in the target's units."""
    return (outputs - targets).abs().mean()


def pinball(outputs: Tensor, targets: Tensor, *, quantile: float = 0.5) -> Tensor:
    """Return the mean pinball loss of a quantile, in the target's units; at 0.5 half of `mae`."""
    above = targets - outputs
    return torch.maximum(quantile * above, (quantile - 1) * above).mean()


def median_ae(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the median absolute error, in the target's units; of two middle ones their mean."""
    errors = (outputs - targets).abs().sort().values
    return (errors[(len(errors) - 1) // 2] + errors[len(errors) // 2]) / 2


def mape(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean absolute error as a share of the target (0.1 is ten per cent).

    A target of 0 has no such share; it counts as the type's epsilon, and rules the mean.
    """
    return shares_off(outputs, targets).mean()


def shares_off(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the absolute error of each row as a share of its target, ``(rows,)``."""
    least = torch.finfo(outputs.dtype).eps
    return (outputs - targets).abs() / targets.abs().clamp_min(least)


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
    return _over_classes(function, outputs, targets, average="macro")


def _weighted(function: Callable[..., Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    return _over_classes(function, outputs, targets, average="weighted")


def _over_classes(
    function: Callable[..., Tensor], outputs: Tensor, targets: Tensor, *, average: str
) -> Tensor:
    return function(
        outputs.argmax(1),
        targets,
        task="multiclass",
        num_classes=outputs.shape[1],
        average=average,
    )


def _per_rank(binary: Rank, multiclass: Rank, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the area of the second class of two, or the mean over the classes in this split."""
    with warnings.catch_warnings():
        # A class without a row in this split has no curve; torchmetrics says so each time.
        warnings.filterwarnings("ignore", message=".*samples.*in target.*")
        if outputs.shape[1] == 2:
            return binary(outputs[:, 1], targets)
        n_classes = outputs.shape[1]
        each = multiclass(outputs, targets, num_classes=n_classes, average="none")
        return each[torch.bincount(targets).nonzero()[:, 0]].mean()
