"""Metrics of labels, of which a row has any number.

Outputs are probabilities ``(rows, labels)``, targets 0 and 1, ``(rows, labels)``. A label is taken
where its probability is above a half. All agree with scikit-learn, with 0 where it divides by 0.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

Floats = npt.NDArray[np.float64]


def taken(outputs: Tensor) -> Tensor:
    """Return 1 for the labels that are predicted, else 0, ``(rows, labels)``."""
    return (outputs > 0.5).long()


def score(name: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return one of `label_scores`."""
    found = taken(outputs)
    hits, right, all_found = ((found * targets).sum(0), targets.sum(0), found.sum(0))
    counts = (part.cpu().numpy().astype(np.float64) for part in (hits, right, all_found))
    return torch.tensor(label_scores(*counts)[name], dtype=torch.float64)


def label_scores(hits: Floats, right: Floats, found: Floats) -> dict[str, float]:
    """Return precision, recall and F1: the mean over labels, weighted by rows, and of all together.

    Args:
        hits: rows of each label that it was taken for, ``(labels,)``.
        right: rows of each label.
        found: rows that each label was taken for.
    """
    each = {"precision": (hits, found), "recall": (hits, right), "f1": (2 * hits, right + found)}
    values = {}
    for name, (part, whole) in each.items():
        scores = share(part, whole)
        values[name] = float(scores.mean())
        values[f"{name}_weighted"] = float(scores @ share(right, np.full_like(right, right.sum())))
        values[f"{name}_micro"] = float(share(part.sum()[None], whole.sum()[None])[0])
    return values


def share(part: Floats, whole: Floats) -> Floats:
    """Return ``part / whole``, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def right_rows(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return whether all labels of a row are right, ``(rows,)``."""
    return (taken(outputs) == targets).all(1)


def log_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over labels of -log of the right value's probability, ``(rows,)``."""
    right = torch.where(targets > 0, outputs, 1 - outputs)
    return -right.clamp_min(torch.finfo(outputs.dtype).eps).log().mean(1)


def roc_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean area of the labels that some rows of this split have, and some have not."""
    ranked = [i for i, label in enumerate(targets.T) if 0 < int(label.sum()) < len(label)]
    areas = [binary_auroc(outputs[:, i], targets[:, i]) for i in ranked]
    return torch.stack(areas).mean() if areas else torch.tensor(0.0)


def pr_auc(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean average precision of the labels that rows of this split have."""
    ranked = [i for i, label in enumerate(targets.T) if int(label.sum())]
    areas = [binary_average_precision(outputs[:, i], targets[:, i]) for i in ranked]
    return torch.stack(areas).mean() if areas else torch.tensor(0.0)
