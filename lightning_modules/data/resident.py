"""Keep the rows of a split on the GPU that trains, where they fit: batches are then cut there."""

import torch
from torch import Tensor

SHARE = 0.1
"""Of the free memory of a GPU, what the rows of a split may take; several trainings share it."""


def fits(n_bytes: int, free_bytes: int) -> bool:
    """Return whether rows of that size are kept on a GPU with so much free memory.

    >>> fits(500, 10_000), fits(1_500, 10_000)
    (True, False)
    """
    return n_bytes <= SHARE * free_bytes


def resident(x: Tensor, y: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows on ``device`` if that is a GPU and they fit; else as they are."""
    if device.type != "cuda":
        return x, y
    size = sum(part.numel() * part.element_size() for part in (x, y))
    if not fits(size, torch.cuda.mem_get_info(device)[0]):
        return x, y
    return x.to(device), y.to(device)
