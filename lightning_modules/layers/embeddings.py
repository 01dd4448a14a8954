"""Embeddings of numbers: each feature becomes a vector of its own."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor, nn

from lightning_modules.families.embedding import PeriodicConfig, PiecewiseLinearConfig
from lightning_modules.settings import Settings

Edges = Sequence[Sequence[float]]


class PerFeature(nn.Module):
    """A dense layer for each feature: ``(rows, features, n_in)`` to ``(rows, features, n_out)``."""

    def __init__(self, n_features: int, n_in: int, n_out: int) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_features, n_in, n_out).uniform_(-bound, bound))
        # One dimension: what has one is not decayed.
        self.bias = nn.Parameter(torch.empty(n_features * n_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, features, n_out)``."""
        out = torch.einsum("rfi,fio->rfo", x, self.weight)
        return out + self.bias.view(out.shape[1:])


class PiecewiseLinear(nn.Module):
    """Features ``(rows, features)`` to ``(rows, features, width)`` by their place among bins.

    Each bin gives 0 below it, 1 above it, and in between how far the feature is through it. The
    outermost go on beyond that by one width, no further: a narrow bin must not make a huge number
    of a value that training never saw. A bin of no width, where training rows have equal values,
    gives 0. Gorishniy et al., 2022.

    Args:
        config: bins and width.
        n_features: of a row.
        edges: the edges of the bins, lowest first, ``(features, n_bins + 1)``; None for those of
            a normal feature, which a checkpoint replaces.
    """

    def __init__(self, config: PiecewiseLinearConfig, n_features: int, edges: Edges | None) -> None:
        super().__init__()
        given = [normal_edges(config.n_bins)] * n_features if edges is None else edges
        self.register_buffer("edges", torch.tensor(given, dtype=torch.float32))
        self.dense = PerFeature(n_features, config.n_bins, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, features, width)``."""
        vectors: Tensor = self.dense(self.encode(x)).relu()
        return vectors

    def encode(self, x: Tensor) -> Tensor:
        """Return the place of each feature in each of its bins, ``(rows, features, n_bins)``."""
        edges = self.get_buffer("edges")
        widths = edges.diff(dim=1)
        wide = widths > 0
        before = wide.cumsum(1)
        lowest, highest = wide & (before == 1), wide & (before == before[:, -1:])
        through = (x[..., None] - edges[:, :-1]) / widths.where(wide, 1.0)
        through = through.clamp(-lowest.float(), 1.0 + highest.float())
        return through.where(wide, 0.0)


class Periodic(nn.Module):
    """Features ``(rows, features)`` to ``(rows, features, width)`` by waves of learned frequencies.

    Gorishniy et al., 2022.
    """

    def __init__(self, config: PeriodicConfig, n_features: int) -> None:
        super().__init__()
        spread = config.frequency_scale
        drawn = torch.empty(n_features, config.n_frequencies).normal_(0.0, 1.0)
        self.frequencies = nn.Parameter(spread * drawn.clamp(-3, 3))
        self.dense = PerFeature(n_features, 2 * config.n_frequencies, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, features, width)``."""
        angles = 2 * math.pi * x[..., None] * self.frequencies
        vectors: Tensor = self.dense(torch.cat([angles.cos(), angles.sin()], dim=-1)).relu()
        return vectors


def embedding(config: Settings, n_features: int, edges: Edges | None = None) -> nn.Module:
    """Return the embedding of ``config``: from ``(rows, features)`` to vectors of them.

    Without one, features are left as they are, ``(rows, features)``.
    """
    if isinstance(config, PiecewiseLinearConfig):
        return PiecewiseLinear(config, n_features, edges)
    return Periodic(config, n_features) if isinstance(config, PeriodicConfig) else nn.Identity()


def embedded_width(config: Settings) -> int:
    """Return how many numbers a feature becomes."""
    return config.width if isinstance(config, PiecewiseLinearConfig | PeriodicConfig) else 1


def normal_edges(n_bins: int) -> list[float]:
    """Return ``n_bins + 1`` quantiles of a standard normal variable, evenly spaced."""
    levels = [(edge + 0.5) / (n_bins + 1) for edge in range(n_bins + 1)]
    return [NormalDist().inv_cdf(level) for level in levels]
