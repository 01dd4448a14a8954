"""Build the feature tokenizer and transformer."""

import math

import torch
from torch import Tensor, nn

from lightning_modules.families.embedding import is_none
from lightning_modules.families.ft_transformer import FtTransformerConfig
from lightning_modules.layers.attention import Attention, Gated, with_first
from lightning_modules.layers.embeddings import Edges, PerFeature, embedded_width, embedding
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation


class FtTransformer(nn.Module):
    """A transformer over the features of ``(rows, features)``; gives ``(rows, n_outputs)``.

    The first block's attention has no norm before it. Source: Gorishniy et al., 2021
    ("Revisiting Deep Learning Models for Tabular Data").
    """

    def __init__(
        self,
        config: FtTransformerConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        bin_edges: Edges | None = None,
    ) -> None:
        super().__init__()
        n_features = math.prod(input_shape)
        self.config = config
        self.n_tokens = n_features + 1
        self.tokens: nn.Module = (
            FeatureTokens(n_features, config.width)
            if is_none(config.embedding)
            else EmbeddedTokens(config, n_features, bin_edges)
        )
        self.blocks = nn.ModuleList(_Block(config, first=i == 0) for i in range(config.n_layers))
        self.out = nn.Sequential(
            nn.LayerNorm(config.width),
            activation(config.activation),
            nn.Linear(config.width, n_outputs),
        )

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for attention, inside, and for what a block adds."""
        tokens, config = self.n_tokens, self.config
        shapes: dict[str, tuple[int, ...]] = {}
        for i in range(config.n_layers):
            shapes[f"attention_dropout.{i}"] = (n_rows, config.n_heads, tokens, tokens)
            shapes[f"dropout.{i}"] = (n_rows, tokens, config.hidden_width)
            shapes[f"residual_dropout.{i}.attention"] = (n_rows, tokens, config.width)
            shapes[f"residual_dropout.{i}.dense"] = (n_rows, tokens, config.width)
        return shapes

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.tokens(x.flatten(1))
        for i, block in enumerate(self.blocks):
            x = block(x, i, noise, numbers)
        out: Tensor = self.out(x[:, 0])
        return out


class FeatureTokens(nn.Module):
    """``(rows, features)`` to ``(rows, 1 + features, width)``, the gathering token first."""

    is_embedding = True
    """A vector for each feature, no matrix that maps."""

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(n_features, width).uniform_(-bound, bound))
        # One dimension each: what has one is not decayed.
        self.bias = nn.Parameter(torch.empty(n_features * width).uniform_(-bound, bound))
        self.first = nn.Parameter(torch.empty(width).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, 1 + features, width)``."""
        tokens = x[..., None] * self.weight + self.bias.view(self.weight.shape)
        return with_first(self.first, tokens)


class EmbeddedTokens(nn.Module):
    """As `FeatureTokens`, from a vector of each feature in the place of its value."""

    def __init__(self, config: FtTransformerConfig, n_features: int, edges: Edges | None) -> None:
        super().__init__()
        self.embedding = embedding(config.embedding, n_features, edges)
        self.dense = PerFeature(n_features, embedded_width(config.embedding), config.width)
        bound = config.width**-0.5
        self.first = nn.Parameter(torch.empty(config.width).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, 1 + features, width)``."""
        return with_first(self.first, self.dense(self.embedding(x)))


class _Block(nn.Module):
    """Attention, then a gated dense part, on ``(rows, tokens, width)``."""

    def __init__(self, config: FtTransformerConfig, *, first: bool) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden_width
        self.before_attention = nn.Identity() if first else nn.LayerNorm(width)
        self.attention = Attention(width, config.n_heads)
        self.widen = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * hidden),
            Gated(activation(config.activation)),
        )
        self.narrow = nn.Linear(hidden, width)

    def forward(
        self, x: Tensor, index: int, noise: Noise | None, numbers: Numbers | None
    ) -> Tensor:
        """Return ``(rows, tokens, width)``."""
        place = f"attention_dropout.{index}"
        seen = self.attention(self.before_attention(x), place, noise, numbers)
        x = x + drop_at(f"residual_dropout.{index}.attention", seen, noise, numbers)
        inside = drop_at(f"dropout.{index}", self.widen(x), noise, numbers)
        added = self.narrow(inside)
        return x + drop_at(f"residual_dropout.{index}.dense", added, noise, numbers)


def build_ft_transformer(
    config: FtTransformerConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    *,
    bin_edges: Edges | None = None,
) -> FtTransformer:
    """Return the network of ``config`` for rows of ``input_shape``.

    ``bin_edges`` are those of the training rows, for piecewise linear embeddings.
    """
    return FtTransformer(config, input_shape, n_outputs, bin_edges)
