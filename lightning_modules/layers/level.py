"""Forecasts relative to the level of what came before."""

from typing import Any

import torch
from torch import Tensor, nn


class FromLevel(nn.Module):
    """A network that sees a series relative to its level, and predicts relative to that.

    So it knows its way where the series has left the values of training. The series is the first
    channel of ``(rows, window, channels)``, scaled as what is predicted, ``(rows, horizon)``. The
    ``mean`` of the window is that of Kim et al., 2022, without its spread; the ``last`` step is
    that of Zeng et al., 2023.
    """

    def __init__(self, network: nn.Module, level: str) -> None:
        super().__init__()
        self.network = network
        self.level = level

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what a step of the network needs."""
        shapes: dict[str, tuple[int, ...]] = self.network.noise_shapes(n_rows)  # type: ignore[operator]
        return shapes

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        """Return ``(rows, horizon)``, of an ensemble ``(rows, members, horizon)``."""
        level = level_of(x, self.level)
        out: Tensor = self.network(relative(x, self.level), *given)
        return out + level.view(-1, *[1] * (out.ndim - 1))


def level_of(x: Tensor, level: str) -> Tensor:
    """Return the ``mean`` or the ``last`` step of the first channel, ``(rows,)``."""
    return x[:, :, 0].mean(1) if level == "mean" else x[:, -1, 0]


def relative(x: Tensor, level: str) -> Tensor:
    """Return ``(rows, window, channels)``, the first channel less its level."""
    if level == "none":
        return x
    first = x[:, :, :1] - level_of(x, level)[:, None, None]
    return torch.cat([first, x[:, :, 1:]], dim=2)
