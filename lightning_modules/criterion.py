"""Losses of the tasks, and what a network's outputs mean."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.settings import Settings
from lightning_modules.task import (
    NUMBERS,
    FocalConfig,
    HuberConfig,
    MaeConfig,
    QuantileConfig,
)

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


def label_weights(counts: Sequence[Sequence[int]]) -> Tensor:
    """Return the weights of 0 and of 1 for each label, ``(2, labels)``.

    Both weigh the same over the training rows, and every label as much as another; a label that
    all rows have, or none, keeps the weight 1.

    Args:
        counts: the rows without each label, and with it.
    """
    rows = torch.tensor(counts, dtype=torch.float32).T
    weights = rows.sum(0) / (2 * rows.clamp_min(1))
    return torch.where((rows > 0).all(0), weights, torch.ones(()))


def loss_of(
    kind: str,
    config: Settings,
    outputs: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None,
    numbers: Numbers,
) -> Tensor:
    """Return the loss of a kind of task: ``(rows, n_outputs)`` outputs against the targets.

    Args:
        kind: of the task.
        config: of the loss.
        outputs: the network's own.
        targets: class numbers ``(rows,)``; scaled numbers ``(rows,)`` or ``(rows, targets)``;
            or 0 and 1, ``(rows, labels)``.
        weights: `class_weights` or `label_weights`; None where all weigh the same.
        numbers: of the loss, by name.
    """
    if kind in NUMBERS:
        return regression_loss(config, outputs, targets.float(), numbers=numbers)
    if kind == "multilabel":
        return label_loss(config, outputs, targets, weights=weights, numbers=numbers)
    if isinstance(config, FocalConfig):
        return focal_loss(outputs, targets, weights=weights, numbers=numbers)
    return classification_loss(outputs, targets, weights=weights, numbers=numbers)


def classification_loss(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None, numbers: Numbers
) -> Tensor:
    """Return cross entropy: ``(rows, classes)`` logits, or ``(rows, 1)`` for two classes.

    Targets are class numbers ``(rows,)``; or shares of the classes, as where rows are mixed:
    ``(rows, classes)``, of two classes that of the second, ``(rows,)``.
    """
    smoothing = numbers["label_smoothing"]
    if targets.is_floating_point():
        soft_loss = _soft_cross_entropy if logits.shape[1] > 1 else _soft_binary
        return soft_loss(logits, targets, weights, smoothing)
    if logits.shape[1] > 1:
        return F.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing)
    soft = targets.float() * (1 - smoothing) + smoothing / 2
    per_row = F.binary_cross_entropy_with_logits(logits[:, 0], soft, reduction="none")
    if weights is None:
        return per_row.mean()
    row_weights = weights[targets]
    return (per_row * row_weights).sum() / row_weights.sum()


def _soft_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return what torch's cross entropy is of class numbers, for shares ``(rows, classes)``."""
    if weights is None:
        weights = torch.ones_like(logits[0])
    soft = targets * (1 - smoothing) + smoothing / targets.shape[1]
    losses = -(soft * weights * logits.log_softmax(1)).sum(1)
    return losses.sum() / (targets @ weights).sum()


def _soft_binary(
    logits: Tensor, targets: Tensor, weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return the loss of ``(rows, 1)`` logits against shares of the second class, ``(rows,)``."""
    shares = torch.stack([1 - targets, targets])
    if weights is not None:
        shares = shares * weights[:, None]
    sides = torch.stack([logits[:, 0], logits[:, 0]])
    ends = torch.tensor([[smoothing / 2], [1 - smoothing / 2]], device=logits.device)
    losses = F.binary_cross_entropy_with_logits(
        sides, ends.expand_as(sides).to(sides.dtype), reduction="none"
    )
    return (losses * shares).sum() / shares.sum()


def focal_loss(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None, numbers: Numbers
) -> Tensor:
    """Return cross entropy in which a row weighs less the surer it is right.

    Each row's is multiplied by (1 - the probability of its class) to the power of ``gamma``
    (Lin et al., 2017). Shapes as in `classification_loss`.
    """
    logits = _full(logits)
    if logits.shape[1] == 1:
        per_row = _focused(logits[:, 0] * (2 * targets - 1), numbers["gamma"])
    else:
        logs, right = logits.log_softmax(1), targets[:, None]
        others = logs.scatter(1, right, -torch.inf).logsumexp(1)
        per_row = -logs.gather(1, right)[:, 0] * (numbers["gamma"] * others).exp()
    if weights is None:
        return per_row.mean()
    row_weights = weights[targets]
    return (per_row * row_weights).sum() / row_weights.sum()


def _full(logits: Tensor) -> Tensor:
    """Return logits with the precision that logarithms of them need."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _focused(logits: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of what is right with these logits."""
    return -F.logsigmoid(logits) * (gamma * F.logsigmoid(-logits)).exp()


def label_loss(
    config: Settings,
    logits: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None,
    numbers: Numbers,
) -> Tensor:
    """Return the mean over rows and labels: ``(rows, labels)`` logits against 0 and 1."""
    logits = _full(logits)
    if isinstance(config, FocalConfig):
        each = _focused(logits * (2 * targets - 1), numbers["gamma"])
    else:
        each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if weights is None:
        return each.mean()
    chosen = torch.lerp(weights[0], weights[1], targets)
    return (each * chosen).sum() / chosen.sum()


def regression_loss(
    config: Settings, outputs: Tensor, targets: Tensor, *, numbers: Numbers
) -> Tensor:
    """Return the loss of outputs against scaled targets, its mean over several targets.

    Outputs are ``(rows, targets)``, of one target ``(rows, 1)``, whose targets are ``(rows,)``.
    """
    predicted = outputs if targets.ndim == 2 else outputs[:, 0]
    if isinstance(config, HuberConfig):
        return F.huber_loss(predicted, targets, delta=numbers["delta"])
    if isinstance(config, MaeConfig):
        return F.l1_loss(predicted, targets)
    if isinstance(config, QuantileConfig):
        above = targets - predicted
        return torch.maximum(numbers["quantile"] * above, (numbers["quantile"] - 1) * above).mean()
    return F.mse_loss(predicted, targets)


def as_rows(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs of an ensemble ``(rows, members, n_outputs)`` as rows, and their targets.

    The loss of these rows is the mean of the members' losses.
    """
    return outputs.flatten(0, 1), targets.repeat_interleave(outputs.shape[1], 0)


def mean_of_members(outputs: Tensor, *, kind: str) -> Tensor:
    """Return ``(rows, n_outputs)`` that mean what the members predict on average.

    Args:
        outputs: of an ensemble, ``(rows, members, n_outputs)``.
        kind: of the task; numbers are averaged themselves, else the probabilities that the outputs
            stand for.
    """
    if kind in NUMBERS:
        return outputs.mean(1)
    if outputs.shape[2] > 1 and kind != "multilabel":
        return outputs.log_softmax(2).logsumexp(1) - math.log(outputs.shape[1])
    return F.logsigmoid(outputs).logsumexp(1) - F.logsigmoid(-outputs).logsumexp(1)


def probabilities(logits: Tensor) -> Tensor:
    """Return class probabilities, ``(rows, classes)``, two columns for one logit."""
    if logits.shape[1] > 1:
        return logits.softmax(1)
    positive = logits.sigmoid()
    return torch.cat([1 - positive, positive], dim=1)
