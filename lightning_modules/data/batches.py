"""Batches cut from tensors in memory, in an order that is a function of seed and epoch alone."""

from collections.abc import Iterator
from typing import TypedDict

import torch
from torch import Tensor

from lightning_modules.seeds import derive

EVALUATION_BATCH = 1024
"""Least batch size without shuffling: nothing is learned there, larger is faster."""


class BatchesState(TypedDict):
    """How far an epoch has come: its number, and the batches that it has given out."""

    epoch: int
    batches: int


class EpochOrder:
    """The order of rows in each epoch; Lightning announces epochs by ``set_epoch``."""

    def __init__(self, n_rows: int, *, shuffle: bool, seed: int) -> None:
        self.n_rows = n_rows
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is of."""
        self.epoch = epoch

    def rows(self) -> Tensor:
        """Return the row numbers in this epoch's order, ``(rows,)``."""
        if not self.shuffle:
            return torch.arange(self.n_rows)
        generator = torch.Generator().manual_seed(derive(self.seed, "batches", self.epoch))
        return torch.randperm(self.n_rows, generator=generator)


class Batches:
    """An iterable of ``(x, y)`` batches over two tensors of equal length, as a loader.

    A last batch of a single row is joined to the one before: batch norm cannot train on one row.
    Without shuffling, batches are views and have at least ``EVALUATION_BATCH`` rows.

    >>> batches = Batches(torch.zeros(7, 2), torch.arange(7), batch_size=3, shuffle=True, seed=0)
    >>> [len(y) for _, y in batches]
    [3, 4]

    Args:
        x: features, ``(rows, ...)``.
        y: targets, ``(rows,)``.
        batch_size: rows of a batch.
        shuffle: new order in each epoch.
        seed: decides the orders.

    Raises:
        ValueError: if x and y differ in length or are empty, or ``batch_size`` is below 1.
    """

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int, shuffle: bool, seed: int) -> None:
        if len(x) != len(y) or not len(x):
            raise ValueError(f"x and y need equal lengths above 0, got {len(x)} and {len(y)}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.x = x
        self.y = y
        self.batch_size = batch_size if shuffle else max(batch_size, EVALUATION_BATCH)
        self.sampler = EpochOrder(len(x), shuffle=shuffle, seed=seed)
        self.batch_sampler = None  # Lightning asks for it beside a sampler
        self._state = BatchesState(epoch=0, batches=0)
        self._resume: BatchesState | None = None

    def __len__(self) -> int:
        whole, rest = divmod(len(self.x), self.batch_size)
        joined = rest == 1 and whole > 0 and self.batch_size > 1
        return whole + (rest > 0 and not joined)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # The body runs at the first batch: Lightning calls iter() before set_epoch().
        epoch, rows = self.sampler.epoch, self.sampler.rows()
        start = self._start_of(epoch)
        self._state = BatchesState(epoch=epoch, batches=start)
        for i in range(start, len(self)):
            first = i * self.batch_size
            end = len(rows) if i == len(self) - 1 else first + self.batch_size
            # The number goes up before the batch is out: Lightning does not ask past the last.
            self._state = BatchesState(epoch=epoch, batches=i + 1)
            if self.sampler.shuffle:
                chosen = rows[first:end]
                yield self.x.index_select(0, chosen), self.y.index_select(0, chosen)
            else:
                yield self.x[first:end], self.y[first:end]

    def state_dict(self) -> BatchesState:
        """Return how far the current epoch has come."""
        return BatchesState(epoch=self._state["epoch"], batches=self._state["batches"])

    def load_state_dict(self, state: BatchesState) -> None:
        """Let the next iteration go on behind the batches given out, if it is of that epoch."""
        self._resume = BatchesState(epoch=state["epoch"], batches=state["batches"])
        self._state = self._resume

    def _start_of(self, epoch: int) -> int:
        resume, self._resume = self._resume, None
        return resume["batches"] if resume is not None and resume["epoch"] == epoch else 0
