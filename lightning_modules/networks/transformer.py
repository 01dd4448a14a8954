"""Build the transformer for sequences and text."""

import math

import torch
from torch import Tensor, nn

from lightning_modules.families.transformer import TransformerConfig
from lightning_modules.layers.attention import TransformerBlock, noise_of_blocks, with_first
from lightning_modules.layers.noise import Noise, Numbers
from lightning_modules.layers.steps import Entrance, last_step, mean_of_steps, real_steps


class Transformer(nn.Module):
    """A transformer on ``(rows, steps, channels)`` or tokens ``(rows, steps)``.

    Gives ``(rows, n_outputs)``. Source: Vaswani et al., 2017 ("Attention Is All You Need"), its
    encoder.
    """

    def __init__(
        self,
        config: TransformerConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        *,
        n_tokens: int | None,
        padded: bool,
    ) -> None:
        super().__init__()
        self.config = config
        self.n_tokens = input_shape[0] + (config.pooling == "first")
        self.entrance = Entrance(input_shape, config.width, n_tokens=n_tokens, padded=padded)
        self.places = Places(input_shape[0], config.width, learned=config.places == "learned")
        # One dimension: what has one is not decayed.
        self.first = (
            nn.Parameter(torch.empty(config.width).normal_()) if config.pooling == "first" else None
        )
        self.blocks = nn.ModuleList(TransformerBlock(config, i) for i in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, n_outputs)

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for attention, inside, and a number a row for skips."""
        return noise_of_blocks(self.config, n_rows, self.n_tokens)

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x, lengths = self.entrance(x)
        x = x + self.places(x.shape[1])
        if self.first is not None:
            x = with_first(self.first, x)
            lengths = None if lengths is None else lengths + 1
        real = None if lengths is None else real_steps(lengths, x.shape[1])
        for block in self.blocks:
            x = block(x, noise, numbers, real)
        out: Tensor = self.out(self._pooled(self.norm(x), lengths))
        return out

    def _pooled(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if self.config.pooling == "mean":
            return mean_of_steps(x, lengths)
        return last_step(x, lengths) if self.first is None else x[:, 0]


class Places(nn.Module):
    """A vector for the place of each step, ``(steps, width)``: learned, or waves."""

    vectors: Tensor

    def __init__(self, n_steps: int, width: int, *, learned: bool) -> None:
        super().__init__()
        self.width = width
        if learned:  # one dimension: what has one is not decayed
            self.vectors = nn.Parameter(torch.empty(n_steps * width).normal_())
        else:
            self.register_buffer("vectors", waves(n_steps, width).flatten(), persistent=False)

    def forward(self, n_steps: int) -> Tensor:
        """Return the vectors of the first ``n_steps``."""
        return self.vectors.view(-1, self.width)[:n_steps]


def waves(n_steps: int, width: int) -> Tensor:
    """Return sines and cosines of each step's number, from fast to slow, ``(steps, width)``."""
    n_waves = (width + 1) // 2
    speeds = torch.exp(-math.log(10_000) * torch.arange(n_waves) / n_waves)
    angles = torch.arange(n_steps)[:, None] * speeds
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


def build_transformer(
    config: TransformerConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    *,
    n_tokens: int | None,
    padded: bool,
) -> Transformer:
    """Return the network of ``config`` for rows of ``input_shape``."""
    return Transformer(config, input_shape, n_outputs, n_tokens=n_tokens, padded=padded)
