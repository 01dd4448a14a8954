"""Build the multilayer perceptron."""

import math
from collections.abc import Mapping

from torch import Tensor, nn

from lightning_modules.families.mlp import MlpConfig
from lightning_modules.layers.embeddings import Edges, embedded_width, embedding
from lightning_modules.layers.noise import Noise, drop_at
from lightning_modules.layers.parts import activation, feature_norm


class Mlp(nn.Module):
    """Dense layers on ``(rows, *input_shape)``, laid flat; gives ``(rows, n_outputs)``."""

    def __init__(
        self,
        config: MlpConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        bin_edges: Edges | None = None,
    ) -> None:
        super().__init__()
        n_features = math.prod(input_shape)
        self.embedding = embedding(config.embedding, n_features, bin_edges)
        self.blocks = nn.ModuleList()
        width = n_features * embedded_width(config.embedding)
        for next_width in config.widths:
            self.blocks.append(
                nn.Sequential(
                    nn.Linear(width, next_width, bias=config.norm == "none"),
                    feature_norm(config.norm, next_width),
                    activation(config.activation),
                )
            )
            width = next_width
        self.widths = config.widths
        self.out = nn.Linear(width, n_outputs)

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for the outputs of every hidden layer."""
        return {f"dropout.{i}": (n_rows, width) for i, width in enumerate(self.widths)}

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Mapping[str, float] | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.embedding(x.flatten(1)).flatten(1)
        for i, block in enumerate(self.blocks):
            x = drop_at(f"dropout.{i}", block(x), noise, numbers)
        out: Tensor = self.out(x)
        return out


def build_mlp(
    config: MlpConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    bin_edges: Edges | None = None,
    *,
    n_tokens: int | None = None,
    padded: bool = False,
) -> Mlp:
    """Return the network of ``config`` for rows of ``input_shape``.

    It takes no text, and sees the padding of a sequence as it sees its steps.
    """
    return Mlp(config, input_shape, n_outputs, bin_edges)
