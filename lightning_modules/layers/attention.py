"""Attention and the blocks of a transformer, with their noise as an input."""

import torch
from torch import Tensor, nn

from lightning_modules.layers.noise import Noise, Numbers, drop_at


class Attention(nn.Module):
    """Every token looks at every other: ``(rows, tokens, width)`` to the same shape.

    ``width`` is split among ``n_heads``. Vaswani et al., 2017.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.take = nn.Linear(width, 3 * width)
        self.give = nn.Linear(width, width)

    def forward(
        self, x: Tensor, place: str, noise: Noise | None, numbers: Numbers | None
    ) -> Tensor:
        """Return ``(rows, tokens, width)``; ``place`` names the noise of the attention itself."""
        rows, tokens, width = x.shape
        taken = self.take(x).view(rows, tokens, 3, self.n_heads, width // self.n_heads)
        queries, keys, values = taken.permute(2, 0, 3, 1, 4).unbind(0)
        scores = queries @ keys.transpose(-2, -1) * queries.shape[-1] ** -0.5
        weights = drop_at(place, scores.softmax(-1), noise, numbers)
        out: Tensor = self.give((weights @ values).transpose(1, 2).reshape(rows, tokens, width))
        return out


class Gated(nn.Module):
    """Half of the last dimension, through ``activation``, times the other half (Shazeer, 2020)."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., width / 2)``."""
        gate, value = x.chunk(2, dim=-1)
        out: Tensor = self.activation(gate) * value
        return out


def with_first(token: Tensor, x: Tensor) -> Tensor:
    """Return ``x`` with ``token`` before the others of each row, ``(rows, 1 + tokens, width)``."""
    return torch.cat([token.expand(len(x), 1, -1), x], dim=1)
