"""Build the convolutional network for text."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.families.text_cnn import TextCnnConfig
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation
from lightning_modules.layers.steps import Entrance, Pooling


class TextCnn(nn.Module):
    """Convolutions over tokens ``(rows, steps)``; gives ``(rows, n_outputs)``.

    A phrase begins at a token of the text, and may end in the padding behind it. Source: Kim, 2014
    ("Convolutional Neural Networks for Sentence Classification").
    """

    def __init__(
        self,
        config: TextCnnConfig,
        input_shape: tuple[int, ...],
        n_outputs: int,
        *,
        n_tokens: int | None,
        padded: bool,
    ) -> None:
        super().__init__()
        self.kernels = config.kernels
        self.n_features = config.n_filters * len(config.kernels)
        self.entrance = Entrance(input_shape, config.width, n_tokens=n_tokens, padded=padded)
        self.filters = nn.ModuleList(
            nn.Conv1d(config.width, config.n_filters, kernel) for kernel in config.kernels
        )
        self.activation = activation(config.activation)
        self.pooling = Pooling("max", config.n_filters)
        self.out = nn.Linear(self.n_features, n_outputs)

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for what the filters found."""
        return {"dropout": (n_rows, self.n_features)}

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        vectors, lengths = self.entrance(x)
        vectors = vectors.transpose(1, 2)
        found = []
        for kernel, phrases in zip(self.kernels, self.filters, strict=True):
            behind = F.pad(vectors, (0, kernel - 1))
            seen = self.activation(phrases(behind)).transpose(1, 2)
            found.append(self.pooling(seen, lengths))
        out: Tensor = self.out(drop_at("dropout", torch.cat(found, dim=1), noise, numbers))
        return out


def build_text_cnn(
    config: TextCnnConfig,
    input_shape: tuple[int, ...],
    n_outputs: int,
    *,
    n_tokens: int | None,
    padded: bool,
) -> TextCnn:
    """Return the network of ``config`` for text of ``input_shape``."""
    return TextCnn(config, input_shape, n_outputs, n_tokens=n_tokens, padded=padded)
