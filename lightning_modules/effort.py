"""What the steps between two validations took: the norm of their gradients, seconds, rows."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules.phases import Span

GRADIENT_NORM = "train/grad_norm"


class GradientNorm:
    """The mean norm of all gradients of a step, as the optimizer gets them before they are clipped.

    Nothing waits for a GPU until `take`, and no gradient is changed. Modules that optimize by hand
    may step with some of their parameters, or several times a batch: of them no norm is known. A
    step that mixed precision leaves out, for gradients that are not finite, is none.
    """

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._count: Tensor | int = 0
        self._plain: bool | None = None
        """Whether all gradients are of one kind; a run's do not change that."""

    def add(self, trainer: pl.Trainer, module: pl.LightningModule, optimizer: Any) -> None:
        """Take in the gradients of a step that is about to be made."""
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        unscales = getattr(optimizer, "_step_supports_amp_scaling", False)  # itself, later
        if not module.automatic_optimization or (scaler is not None and unscales):
            return
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if not gradients:
            return
        if self._plain is None:
            self._plain = is_plain(gradients)
        norm = (norm_of if self._plain else total_norm)(gradients)
        if scaler is None:
            self._sum, self._count = self._sum + norm, self._count + 1
        else:
            finite = norm.isfinite()
            self._sum = self._sum + norm.where(finite, torch.zeros_like(norm))
            self._count = self._count + finite

    def take(self) -> float:
        """Return the mean over the steps since the last call; NaN if there was none."""
        count, total = int(self._count), float(self._sum)
        self._sum, self._count = 0.0, 0
        return total / count if count else math.nan

    def state_dict(self) -> dict[str, Any]:
        """Return the sum so far, and of how many steps it is."""
        return {"sum": float(self._sum), "count": int(self._count)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called; a state of before there were norms is empty."""
        self._sum, self._count = float(state.get("sum", 0.0)), int(state.get("count", 0))


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together, ``()``.

    >>> total_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
    tensor(5.)
    """
    if is_plain(gradients):
        return norm_of(gradients)
    dense = [one.coalesce().values() if one.is_sparse else one for one in gradients]
    return torch.nn.utils.get_total_norm([one.float() for one in dense])


def is_plain(gradients: Sequence[Tensor]) -> bool:
    """Return whether gradients are dense, of single precision, and on one device."""
    kinds = {(one.is_sparse, one.device, one.dtype) for one in gradients}
    return kinds == {(False, gradients[0].device, torch.float32)}


def norm_of(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of plain gradients together, ``()``."""
    norms: Sequence[Tensor] = torch._foreach_norm(list(gradients))
    total: Tensor = torch.linalg.vector_norm(torch.stack([*norms]))
    return total


class Pace:
    """Seconds and rows of training since the last validation, what is written to disk left out."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._phase = Span("training")
        self._seconds = 0.0
        self._rows: int | None = 0

    def run(self) -> None:
        """Let the clock run, if it does not."""
        if self._begun is None:
            self._begun = time.perf_counter()
            self._phase.begin()

    def rest(self) -> None:
        """Stop the clock, if it runs."""
        self._seconds, self._begun = self._so_far(), None
        self._phase.end()

    def add(self, rows: int | None) -> None:
        """Take in a batch of so many rows; None if nobody knows how many."""
        known = self._rows is not None and rows is not None
        self._rows = (self._rows or 0) + (rows or 0) if known else None

    def take(self) -> tuple[float, int | None]:
        """Stop, and return seconds and rows since the last call; None rows are not known."""
        self.rest()
        taken = (self._seconds, self._rows)
        self._seconds, self._rows = 0.0, 0
        return taken

    def _so_far(self) -> float:
        running = 0.0 if self._begun is None else time.perf_counter() - self._begun
        return self._seconds + running

    def state_dict(self) -> dict[str, Any]:
        """Return seconds and rows so far."""
        return {"seconds": self._so_far(), "rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called; a state of before there was a pace knows no rows.

        The clock stands until training goes on.
        """
        self._begun, self._seconds = None, float(state.get("seconds", 0.0))
        self._rows = state.get("rows")


def speed(seconds: float, rows: int | None) -> float | None:
    """Return rows a second, None where it is not known.

    >>> speed(2.0, 100), speed(2.0, None), speed(0.0, 0)
    (50.0, None, None)
    """
    return rows / seconds if rows and seconds > 0 else None


def rows_of(batch: Any) -> int | None:
    """Return how many rows a batch has, whatever holds its tensors; None if they do not agree.

    >>> rows_of((torch.zeros(4, 2), torch.zeros(4))), rows_of({"a": torch.zeros(2, 3)})
    (4, 2)
    >>> rows_of([torch.zeros(4, 2), torch.zeros(3)]) is None
    True
    """
    if type(batch) is tuple and batch and all(type(one) is Tensor and one.ndim for one in batch):
        first = len(batch[0])
        return first if all(len(one) == first for one in batch) else None
    lengths = set(_lengths(batch))
    return lengths.pop() if len(lengths) == 1 else None


def _lengths(batch: Any) -> list[int]:
    if isinstance(batch, Tensor):
        return [len(batch)] if batch.ndim else []
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if isinstance(batch, list | tuple):
        return [length for part in batch for length in _lengths(part)]
    return []
