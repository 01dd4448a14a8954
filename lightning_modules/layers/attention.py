"""Attention and the blocks of a transformer, with their noise as an input."""

from typing import Protocol

import torch
from torch import Tensor, nn

from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation


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
        self,
        x: Tensor,
        place: str,
        noise: Noise | None,
        numbers: Numbers | None,
        real: Tensor | None = None,
    ) -> Tensor:
        """Return ``(rows, tokens, width)``.

        Args:
            x: ``(rows, tokens, width)``.
            place: names the noise of the attention itself.
            noise: of the step.
            numbers: of the step.
            real: which tokens may be looked at, ``(rows, tokens)``, at least one in each row; None
                for all.
        """
        rows, tokens, width = x.shape
        taken = self.take(x).view(rows, tokens, 3, self.n_heads, width // self.n_heads)
        queries, keys, values = taken.permute(2, 0, 3, 1, 4).unbind(0)
        scores = queries @ keys.transpose(-2, -1) * queries.shape[-1] ** -0.5
        if real is not None:
            scores = scores.masked_fill(~real[:, None, None], -torch.inf)
        weights = drop_at(place, scores.softmax(-1), noise, numbers)
        out: Tensor = self.give((weights @ values).transpose(1, 2).reshape(rows, tokens, width))
        return out


class BlockConfig(Protocol):
    """The settings that a `TransformerBlock` has."""

    @property
    def n_layers(self) -> int:
        """The number of blocks."""
        ...

    @property
    def width(self) -> int:
        """The width of a token."""
        ...

    @property
    def n_heads(self) -> int:
        """The heads of attention."""
        ...

    @property
    def hidden_width(self) -> int:
        """The width inside the dense part."""
        ...

    @property
    def activation(self) -> str:
        """The name of the activation in the dense part."""
        ...


class TransformerBlock(nn.Module):
    """Attention, then a dense part, on ``(rows, tokens, width)``; a norm before each.

    Args:
        config: sizes.
        index: of the block; in training, rows skip the later ones more often.
    """

    def __init__(self, config: BlockConfig, index: int) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden_width
        self.index = index
        self.share = (index + 1) / config.n_layers
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, config.n_heads)
        self.widen = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), activation(config.activation)
        )
        self.narrow = nn.Linear(hidden, width)

    def forward(
        self, x: Tensor, noise: Noise | None, numbers: Numbers | None, real: Tensor | None = None
    ) -> Tensor:
        """Return ``(rows, tokens, width)``; ``real`` as in `Attention`."""
        i, before = self.index, self.before_attention(x)
        seen = self.attention(before, f"attention_dropout.{i}", noise, numbers, real)
        x = x + drop_at(f"drop_path.{i}.attention", seen, noise, numbers, share=self.share)
        inside = drop_at(f"dropout.{i}", self.widen(x), noise, numbers)
        added = self.narrow(inside)
        return x + drop_at(f"drop_path.{i}.dense", added, noise, numbers, share=self.share)


def noise_of_blocks(config: BlockConfig, n_rows: int, n_tokens: int) -> dict[str, tuple[int, ...]]:
    """Return what the blocks need: noise for attention, inside, and a number a row for skips."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(config.n_layers):
        shapes[f"attention_dropout.{i}"] = (n_rows, config.n_heads, n_tokens, n_tokens)
        shapes[f"dropout.{i}"] = (n_rows, n_tokens, config.hidden_width)
        shapes[f"drop_path.{i}.attention"] = (n_rows, 1, 1)
        shapes[f"drop_path.{i}.dense"] = (n_rows, 1, 1)
    return shapes


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
    return torch.cat([token.expand(x.shape[0], 1, -1), x], dim=1)
