"""Build the residual network for tables."""

import math

from torch import Tensor, nn

from lightning_modules.families.resnet_mlp import ResnetMlpConfig
from lightning_modules.layers.embeddings import Edges, embedded_width, embedding
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation, feature_norm


class ResnetMlp(nn.Module):
    """Residual dense blocks on ``(rows, *input_shape)``, laid flat; gives ``(rows, n_outputs)``.

    Source: Gorishniy et al., 2021 ("Revisiting Deep Learning Models for Tabular Data").
    """

    def __init__(
        self,
        config: ResnetMlpConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        bin_edges: Edges | None = None,
    ) -> None:
        super().__init__()
        n_features = math.prod(input_shape)
        self.embedding = embedding(config.embedding, n_features, bin_edges)
        self.first = nn.Linear(n_features * embedded_width(config.embedding), config.width)
        self.widen = nn.ModuleList(_widen(config) for _ in range(config.n_layers))
        self.narrow = nn.ModuleList(
            nn.Linear(config.hidden_width, config.width) for _ in range(config.n_layers)
        )
        self.out = nn.Sequential(
            feature_norm(config.norm, config.width),
            activation(config.activation),
            nn.Linear(config.width, n_outputs),
        )
        self.widths = {"dropout": config.hidden_width, "residual_dropout": config.width}

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise inside every block and for what it adds."""
        return {
            f"{number}.{i}": (n_rows, width)
            for i in range(len(self.widen))
            for number, width in self.widths.items()
        }

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.first(self.embedding(x.flatten(1)).flatten(1))
        for i, (widen, narrow) in enumerate(zip(self.widen, self.narrow, strict=True)):
            inside = drop_at(f"dropout.{i}", widen(x), noise, numbers)
            x = x + drop_at(f"residual_dropout.{i}", narrow(inside), noise, numbers)
        out: Tensor = self.out(x)
        return out


def _widen(config: ResnetMlpConfig) -> nn.Sequential:
    """Return the first half of a block, ``(rows, width)`` to ``(rows, hidden_width)``."""
    return nn.Sequential(
        feature_norm(config.norm, config.width),
        nn.Linear(config.width, config.hidden_width),
        activation(config.activation),
    )


def build_resnet_mlp(
    config: ResnetMlpConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    bin_edges: Edges | None = None,
    *,
    n_tokens: int | None = None,
    padded: bool = False,
) -> ResnetMlp:
    """Return the network of ``config`` for rows of ``input_shape``.

    It takes no text, and sees the padding of a sequence as it sees its steps.
    """
    return ResnetMlp(config, input_shape, n_outputs, bin_edges)
