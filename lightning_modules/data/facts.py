"""DataFacts: what a network must know of its data to be built and to speak in its units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.prepare import InputKind, input_of
from lightning_modules.data.prepared import PreparedData, count_labels
from lightning_modules.data.target import ClassTarget, LabelsTarget, NumberTarget
from lightning_modules.errors import DataError
from lightning_modules.task import NUMBERS


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The shape of one row and of its target.

    ``input_shape`` leaves the rows out; ``n_outputs`` is the number of classes, 1 for binary and
    regression; ``class_counts`` counts training rows; a regression target is ``scaled * target_sd
    + target_mean``, or e to the power of that with ``target_log``.

    Where sequences are ``padded``, they are 0 behind their end, and the last channel is 1 up to it.
    ``n_tokens`` of text counts the padding, which is 0, and the unknown token, which is 1.
    """

    input_shape: tuple[int, ...]
    n_outputs: int
    input_kind: InputKind = "features"
    n_tokens: int | None = None
    padded: bool = False
    classes: list[str] | None = None
    class_counts: list[int] | None = None
    label_counts: list[list[int]] | None = None
    """Training rows without each label, and with it."""
    target_names: list[str] | None = None
    """Of labels, or of several targets."""
    target_mean: float | list[float] = 0.0
    """Of several targets, of each; and so ``target_sd``."""
    target_sd: float | list[float] = 1.0
    target_log: bool = False
    bin_edges: list[list[float]] | None = None
    """Of the networks that put each feature into bins: ``(features, bins + 1)``."""

    def in_units(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return scaled numbers of any shape, of several targets ``(..., targets)``, in units."""
        sd, mean = (
            torch.tensor(one, dtype=scaled.dtype, device=scaled.device)
            if isinstance(one, list)
            else one
            for one in (self.target_sd, self.target_mean)
        )
        values = scaled * sd + mean
        return values.exp() if self.target_log else values

    def blank(self, n_rows: int, *, device: torch.device | None = None) -> torch.Tensor:
        """Return rows without content, ``(rows, *input_shape)``, to try a network on."""
        if self.input_kind == "text":
            return torch.ones(n_rows, *self.input_shape, dtype=torch.int64, device=device)
        rows = torch.zeros(n_rows, *self.input_shape, device=device)
        if self.padded:
            rows[..., -1] = 1
        return rows


def facts_of(data: PreparedData) -> DataFacts:
    """Return the facts of prepared data."""
    facts = facts_of_fitted(data.fitted, data.task_kind, class_counts=data.class_counts)
    return replace(facts, label_counts=data.label_counts)


def facts_of_fitted(
    fitted: Fitted, task_kind: str, *, class_counts: list[int] | None = None
) -> DataFacts:
    """Return the facts that fitted statistics hold, as a run folder keeps them."""
    target, shape = fitted.target, tuple(fitted.input_shape)
    kind, n_tokens, padded = input_of(fitted.preparation)
    facts = DataFacts(
        input_shape=shape, input_kind=kind, n_tokens=n_tokens, padded=padded, n_outputs=1
    )
    if isinstance(target, ClassTarget):
        return replace(
            facts,
            n_outputs=len(target.classes) if task_kind == "multiclass" else 1,
            classes=list(target.classes),
            class_counts=class_counts,
        )
    if isinstance(target, NumberTarget):
        if isinstance(fitted.preparation, WindowPreparation):
            facts = replace(facts, n_outputs=fitted.preparation.horizon)
        return replace(facts, target_mean=target.mean, target_sd=target.sd, target_log=target.log)
    facts = replace(facts, n_outputs=len(target.names), target_names=list(target.names))
    if isinstance(target, LabelsTarget):
        return facts
    return replace(
        facts,
        target_mean=[one.mean for one in target.each],
        target_sd=[one.sd for one in target.each],
        target_log=target.each[0].log,
    )


def facts_of_module(make: Callable[[], pl.LightningDataModule], kind: str) -> DataFacts:
    """Look at the training batches of a user's data module: shape of a row, number of classes.

    Whole numbers ``(rows, steps)`` are text, whose tokens go up to the greatest in these batches.

    Raises:
        DataError: if a batch is no pair of a tensor of inputs and a tensor of targets, or the
            targets do not fit the task.
    """
    module = make()
    where = type(module).__name__
    module.prepare_data()
    module.setup("fit")
    facts: DataFacts | None = None
    targets: list[torch.Tensor] = []
    for batch in module.train_dataloader():
        x, y = _pair(batch, where)
        facts = _with_batch(facts, x)
        targets.append(y)
    if facts is None:
        raise DataError(where, "gives no training batch", "check its train_dataloader")
    labels = torch.cat(targets)
    if kind == "multilabel":
        return replace(facts, **_of_labels(labels, where))
    if kind in NUMBERS:
        if labels.ndim not in (1, 2):
            what = f"targets have the shape {tuple(labels.shape)}"
            raise DataError(where, what, f"a {kind} task needs (rows,) or (rows, targets)")
        return replace(facts, n_outputs=labels.shape[1] if labels.ndim == 2 else 1)
    if labels.is_floating_point() or labels.ndim != 1:
        what = f"targets are {labels.dtype} of shape {tuple(labels.shape)}"
        raise DataError(where, what, f"a {kind} task needs whole class numbers (rows,)")
    counts = torch.bincount(labels).tolist()
    if kind == "binary" and len(counts) != 2:
        raise DataError(where, f"{len(counts)} classes", "set task.kind: multiclass")
    return replace(facts, n_outputs=1 if kind == "binary" else len(counts), class_counts=counts)


def _of_labels(labels: torch.Tensor, where: str) -> dict[str, Any]:
    if labels.ndim != 2 or not labels.is_floating_point() or bool((labels * (1 - labels)).any()):
        what = f"targets are {labels.dtype} of shape {tuple(labels.shape)}"
        raise DataError(where, what, "a multilabel task needs floats of 0 or 1 (rows, labels)")
    return {"n_outputs": labels.shape[1], "label_counts": count_labels(labels)}


def _with_batch(known: DataFacts | None, x: torch.Tensor) -> DataFacts:
    """Return what is known of the inputs after one more batch of them.

    Numbers ``(rows, steps, channels)`` are sequences; whole numbers ``(rows, steps)`` are text.
    """
    shape = tuple(x.shape[1:])
    if x.dtype == torch.int64 and x.ndim == 2:
        n_tokens = max(2, 0 if known is None else known.n_tokens or 0, int(x.max()) + 1)
        return DataFacts(
            input_shape=shape, n_outputs=1, input_kind="text", n_tokens=n_tokens, padded=True
        )
    kinds: Mapping[int, InputKind] = {3: "sequence", 4: "image"}
    return DataFacts(input_shape=shape, n_outputs=1, input_kind=kinds.get(x.ndim, "features"))


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
