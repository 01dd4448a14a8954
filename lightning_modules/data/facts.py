"""DataFacts: what a network must know of its data to be built and to speak in its units."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from lightning_modules.data.prepared import Fitted, PreparedData
from lightning_modules.data.target import NumberTarget
from lightning_modules.errors import DataError


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The shape of one row and of its target.

    ``input_shape`` leaves the rows out; ``n_outputs`` is the number of classes, 1 for binary and
    regression; ``class_counts`` counts training rows; a regression target is ``scaled * target_sd
    + target_mean``, or e to the power of that with ``target_log``.
    """

    input_shape: tuple[int, ...]
    n_outputs: int
    classes: list[str] | None = None
    class_counts: list[int] | None = None
    target_mean: float = 0.0
    target_sd: float = 1.0
    target_log: bool = False
    bin_edges: list[list[float]] | None = None
    """Of the networks that put each feature into bins: ``(features, bins + 1)``."""

    def in_units(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return scaled numbers of any shape in the units of the regression target."""
        values = scaled * self.target_sd + self.target_mean
        return values.exp() if self.target_log else values


def facts_of(data: PreparedData) -> DataFacts:
    """Return the facts of prepared data."""
    return facts_of_fitted(data.fitted, data.task_kind, class_counts=data.class_counts)


def facts_of_fitted(
    fitted: Fitted, task_kind: str, *, class_counts: list[int] | None = None
) -> DataFacts:
    """Return the facts that fitted statistics hold, as a run folder keeps them."""
    target, shape = fitted.target, tuple(fitted.input_shape)
    if isinstance(target, NumberTarget):
        return DataFacts(
            input_shape=shape,
            n_outputs=1,
            target_mean=target.mean,
            target_sd=target.sd,
            target_log=target.log,
        )
    return DataFacts(
        input_shape=shape,
        n_outputs=len(target.classes) if task_kind == "multiclass" else 1,
        classes=list(target.classes),
        class_counts=class_counts,
    )


def facts_of_module(make: Callable[[], pl.LightningDataModule], kind: str) -> DataFacts:
    """Look at the training batches of a user's data module: shape of a row, number of classes.

    Raises:
        DataError: if a batch is no pair of a tensor of inputs and a tensor of targets, or the
            targets do not fit the task.
    """
    module = make()
    where = type(module).__name__
    module.prepare_data()
    module.setup("fit")
    shape: tuple[int, ...] | None = None
    targets: list[torch.Tensor] = []
    for batch in module.train_dataloader():
        x, y = _pair(batch, where)
        shape = tuple(x.shape[1:])
        targets.append(y)
    if shape is None:
        raise DataError(where, "gives no training batch", "check its train_dataloader")
    labels = torch.cat(targets)
    if kind == "regression":
        if labels.ndim != 1:
            what = f"targets have the shape {tuple(labels.shape)}"
            raise DataError(where, what, "a regression task needs one number a row: (rows,)")
        return DataFacts(input_shape=shape, n_outputs=1)
    if labels.is_floating_point() or labels.ndim != 1:
        what = f"targets are {labels.dtype} of shape {tuple(labels.shape)}"
        raise DataError(where, what, f"a {kind} task needs whole class numbers (rows,)")
    counts = torch.bincount(labels).tolist()
    if kind == "binary" and len(counts) != 2:
        raise DataError(where, f"{len(counts)} classes", "set task.kind: multiclass")
    return DataFacts(
        input_shape=shape, n_outputs=1 if kind == "binary" else len(counts), class_counts=counts
    )


def _pair(batch: Any, where: str) -> tuple[torch.Tensor, torch.Tensor]:
    if not isinstance(batch, list | tuple) or len(batch) != 2:
        what = f"a batch is a {type(batch).__name__}, no pair"
        raise DataError(where, what, "families need batches (inputs, targets)")
    x, y = batch
    if not isinstance(x, torch.Tensor) or not isinstance(y, torch.Tensor):
        raise DataError(where, "a batch holds no tensors", "families need (inputs, targets)")
    return x, y


def bin_edges(rows: torch.Tensor, n_bins: int) -> list[list[float]]:
    """Return evenly spaced quantiles of each feature of training ``rows``, laid flat.

    The lowest of its ``n_bins + 1`` quantiles is the feature's least value, the last its greatest.
    """
    flat = rows.flatten(1).numpy()
    edges = np.quantile(flat, np.linspace(0, 1, n_bins + 1), axis=0)
    found: list[list[float]] = edges.T.astype(np.float64).tolist()
    return found


def inputs_of_module(make: Callable[[], pl.LightningDataModule]) -> torch.Tensor:
    """Return the inputs of a user's training batches, ``(rows, ...)``, in the order they came.

    Raises:
        DataError: if a batch is no pair of tensors.
    """
    module = make()
    module.prepare_data()
    module.setup("fit")
    where = type(module).__name__
    return torch.cat([_pair(batch, where)[0] for batch in module.train_dataloader()])
