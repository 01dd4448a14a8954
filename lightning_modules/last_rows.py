"""The rows that were trained last, and what the network put out for them, up to a bound."""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

MOST_ROWS = 10_000
MOST_NUMBERS = 1_000_000
"""How many rows are kept, and how many numbers put out for them; as many as either allows."""


class LastRows:
    """Keeps outputs ``(rows, ...)`` and targets ``(rows, ...)`` of the last batches.

    The same rows are measured whether a run was interrupted or not: what is kept is part of its
    checkpoints, and is cut to the bound when it is taken.
    """

    def __init__(self) -> None:
        self._batches: deque[tuple[Tensor, Tensor]] = deque()
        self._n_rows = 0

    def __len__(self) -> int:
        return self._n_rows

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Keep a batch, and let the oldest go."""
        self._batches.append((outputs.detach(), targets))
        self._n_rows += len(outputs)
        most = _most(outputs)
        while self._n_rows - len(self._batches[0][0]) >= most:
            self._n_rows -= len(self._batches.popleft()[0])

    def take(self) -> tuple[Tensor, Tensor]:
        """Return outputs and targets of the last rows, and forget them."""
        outputs = torch.cat([outputs for outputs, _ in self._batches])
        targets = torch.cat([targets for _, targets in self._batches])
        self.restore([])
        most = _most(outputs)
        return outputs[-most:], targets[-most:]

    def state(self) -> list[list[Tensor]]:
        """Return what is kept, batch by batch."""
        return [list(batch) for batch in self._batches]

    def restore(self, state: Sequence[Sequence[Tensor]]) -> None:
        """Keep what `state` gave."""
        self._batches = deque((outputs, targets) for outputs, targets in state)
        self._n_rows = sum(len(outputs) for outputs, _ in self._batches)


def _most(outputs: Tensor) -> int:
    return max(1, min(MOST_ROWS, MOST_NUMBERS * len(outputs) // max(outputs.numel(), 1)))
