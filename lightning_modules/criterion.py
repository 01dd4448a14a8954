"""Losses of the tasks, and what a network's outputs mean."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.settings import Settings
from lightning_modules.task import HuberConfig, MaeConfig

Numbers = Mapping[str, float]


def class_weights(counts: Sequence[int]) -> Tensor:
    """Return a weight per class, ``(classes,)``, so that each weighs the same; mean over rows 1.

    Raises:
        ValueError: if a class has no row: its weight would be infinite.
    """
    if min(counts) < 1:
        raise ValueError(f"a class without training rows cannot be weighted: {list(counts)}")
    rows = torch.tensor(counts, dtype=torch.float32)
    return rows.sum() / (len(counts) * rows)


def classification_loss(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None, numbers: Numbers
) -> Tensor:
    """Return cross entropy: ``(rows, classes)`` logits, or ``(rows, 1)`` for two classes."""
    smoothing = numbers["label_smoothing"]
    if logits.shape[1] > 1:
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing)
    soft = targets.float() * (1 - smoothing) + smoothing / 2
    per_row = F.binary_cross_entropy_with_logits(logits[:, 0], soft, reduction="none")
    if weights is None:
        return per_row.mean()
    row_weights = weights[targets]
    return (per_row * row_weights).sum() / row_weights.sum()


def regression_loss(
    config: Settings, outputs: Tensor, targets: Tensor, *, numbers: Numbers
) -> Tensor:
    """Return the loss of ``(rows, 1)`` outputs against ``(rows,)`` scaled targets."""
    predicted = outputs[:, 0]
    if isinstance(config, HuberConfig):
        return F.huber_loss(predicted, targets, delta=numbers["delta"])
    if isinstance(config, MaeConfig):
        return F.l1_loss(predicted, targets)
    return F.mse_loss(predicted, targets)


def as_rows(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs of an ensemble ``(rows, members, n_outputs)`` as rows, and their targets.

    The loss of these rows is the mean of the members' losses.
    """
    return outputs.flatten(0, 1), targets.repeat_interleave(outputs.shape[1])


def mean_of_members(outputs: Tensor, *, regression: bool) -> Tensor:
    """Return ``(rows, n_outputs)`` that mean what the members predict on average.

    Args:
        outputs: of an ensemble, ``(rows, members, n_outputs)``.
        regression: average the outputs; else the probabilities that they stand for.
    """
    if regression:
        return outputs.mean(1)
    if outputs.shape[2] > 1:
        return outputs.log_softmax(2).logsumexp(1) - math.log(outputs.shape[1])
    return F.logsigmoid(outputs).logsumexp(1) - F.logsigmoid(-outputs).logsumexp(1)


def probabilities(logits: Tensor) -> Tensor:
    """Return class probabilities, ``(rows, classes)``, two columns for one logit."""
    if logits.shape[1] > 1:
        return logits.softmax(1)
    positive = logits.sigmoid()
    return torch.cat([1 - positive, positive], dim=1)
