"""Batches cut from tensors in memory, in an order that is a function of seed and epoch alone."""

from collections.abc import Iterator
from typing import Protocol, TypedDict

import torch
from torch import Tensor

from lightning_modules.seeds import derive

EVALUATION_BATCH = 1024
"""Least batch size without shuffling: nothing is learned there, larger is faster."""
ALL = (0, 1)
"""The share of the only process."""


class Augment(Protocol):
    """What changes a training batch, a function of its arguments."""

    def __call__(self, x: Tensor, y: Tensor, *, seed: int) -> tuple[Tensor, Tensor]:
        """Return the changed batch."""
        ...


class BatchesState(TypedDict):
    """How far an epoch has come: its number, and the batches that it has given out."""

    epoch: int
    batches: int


class EpochOrder:
    """The order of rows in each epoch; Lightning announces epochs by ``set_epoch``.

    With ``classes``, the class of each row, an epoch has as many rows of each class, and as many
    rows in all as there are: rows of a small class come again, others wait for a later epoch.
    """

    def __init__(
        self, n_rows: int, *, shuffle: bool, seed: int, classes: Tensor | None = None
    ) -> None:
        self.n_rows = n_rows
        self.shuffle = shuffle
        self.seed = seed
        self.of_class = (
            []
            if classes is None
            else [(classes == c).nonzero()[:, 0] for c in torch.unique(classes)]
        )
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is of."""
        self.epoch = epoch

    def rows(self) -> Tensor:
        """Return the row numbers in this epoch's order, ``(rows,)``."""
        if not self.shuffle:
            return torch.arange(self.n_rows)
        generator = torch.Generator().manual_seed(derive(self.seed, "batches", self.epoch))
        order = torch.randperm(self.n_rows, generator=generator)
        return self._balanced(generator)[order] if self.of_class else order

    def _balanced(self, generator: torch.Generator) -> Tensor:
        """Return rows of each class in turn; who of them has one row more is drawn."""
        share, rest = divmod(self.n_rows, len(self.of_class))
        lucky = torch.randperm(len(self.of_class), generator=generator)[:rest].tolist()
        parts = []
        for i, rows in enumerate(self.of_class):
            wanted = share + (i in lucky)
            rounds = [
                rows[torch.randperm(len(rows), generator=generator)]
                for _ in range(-(-wanted // len(rows)))
            ]
            parts.append(torch.cat([rows[:0], *rounds])[:wanted])
        return torch.cat(parts)


class Batches:
    """An iterable of ``(x, y)`` batches over two tensors of equal length, as a loader.

    A last batch of a single row is joined to the one before: batch norm cannot train on one row.
    Without shuffling, batches are views and have at least ``EVALUATION_BATCH`` rows.

    Of several processes that train together, each takes as many rows of every batch: the batch size
    is rounded down to a multiple of them, and so is the number of rows in an epoch; the rows that
    are left out are others each time.

    >>> batches = Batches(torch.zeros(7, 2), torch.arange(7), batch_size=3, shuffle=True, seed=0)
    >>> [len(y) for _, y in batches]
    [3, 4]

    Args:
        x: features, ``(rows, ...)``.
        y: targets, ``(rows,)``.
        batch_size: rows of a batch.
        shuffle: new order in each epoch.
        seed: decides the orders.
        share: which process of how many this is, where several train on these batches.
        augment: changes the batches of shuffled rows; its seed is of this batch of this epoch.
        balanced: draw as many rows of each class, where rows are shuffled; ``y`` are classes then.

    Raises:
        ValueError: if x and y differ in length or are empty, or ``batch_size`` is below 1, or
            there are fewer rows, or rows of a batch, than processes.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        share: tuple[int, int] = ALL,
        augment: Augment | None = None,
        balanced: bool = False,
    ) -> None:
        if len(x) != len(y) or not len(x):
            raise ValueError(f"x and y need equal lengths above 0, got {len(x)} and {len(y)}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._rank, self._n_shares = share
        if min(batch_size, len(x)) < self._n_shares:
            raise ValueError(f"{min(batch_size, len(x))} rows cannot be shared by {share[1]}")
        self.x = x
        self.y = y
        size = batch_size if shuffle else max(batch_size, EVALUATION_BATCH)
        self.batch_size = size - size % self._n_shares
        classes = y.cpu() if balanced else None
        self.sampler = EpochOrder(len(x), shuffle=shuffle, seed=seed, classes=classes)
        self._augment = augment
        self.batch_sampler = None  # Lightning asks for it beside a sampler
        self._state = BatchesState(epoch=0, batches=0)
        self._resume: BatchesState | None = None

    def __len__(self) -> int:
        whole, rest = divmod(self._n_rows, self.batch_size)
        joined = 0 < rest < 2 * self._n_shares and whole > 0 and self.batch_size > self._n_shares
        return whole + (rest > 0 and not joined)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # The body runs at the first batch: Lightning calls iter() before set_epoch().
        epoch, rows = self.sampler.epoch, self.sampler.rows()
        start = self._start_of(epoch)
        self._state = BatchesState(epoch=epoch, batches=start)
        for i in range(start, len(self)):
            first = i * self.batch_size
            end = self._n_rows if i == len(self) - 1 else first + self.batch_size
            # The number goes up before the batch is out: Lightning does not ask past the last.
            self._state = BatchesState(epoch=epoch, batches=i + 1)
            if self.sampler.shuffle:
                chosen = rows[first:end][self._rank :: self._n_shares].to(self.x.device)
                yield self._changed(
                    self.x.index_select(0, chosen), self.y.index_select(0, chosen), epoch, i
                )
            else:
                yield self.x[first:end], self.y[first:end]

    def _changed(self, x: Tensor, y: Tensor, epoch: int, i: int) -> tuple[Tensor, Tensor]:
        if self._augment is None:
            return x, y
        return self._augment(x, y, seed=derive(self.sampler.seed, "augment", epoch, i, self._rank))

    @property
    def _n_rows(self) -> int:
        """How many rows an epoch has."""
        return len(self.x) - len(self.x) % self._n_shares

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
