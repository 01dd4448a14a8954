"""Build the plain convolutional network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lightning_modules.families.cnn import CnnConfig
from lightning_modules.layers.noise import Noise, drop
from lightning_modules.layers.parts import activation, image_norm

SMALLEST_POOLED = 4
"""A side shorter than this is not halved again."""


class Cnn(nn.Module):
    """Convolution blocks on ``(rows, channels, height, width)``; gives ``(rows, n_outputs)``.

    Sides are halved by each block's pooling while both are at least 4; a kernel larger than 1
    keeps them by padding. The head sees ``channels * height * width`` values (``flat``) or the
    mean of each channel (``mean``).
    """

    def __init__(self, config: CnnConfig, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.blocks = nn.Sequential()
        for next_channels in config.channels:
            self.blocks.append(_block(config, channels, next_channels))
            if min(height, width) >= SMALLEST_POOLED:
                self.blocks.append(nn.MaxPool2d(2) if config.pooling == "max" else nn.AvgPool2d(2))
                height, width = height // 2, width // 2
            channels = next_channels
        if config.head == "mean":
            self.blocks.append(nn.AdaptiveAvgPool2d(1))
            height = width = 1
        self.n_features = channels * height * width
        self.out = nn.Linear(self.n_features, n_outputs)
        # Channels last in memory: a third faster on CPUs, the same numbers.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for the values that the head sees."""
        return {"dropout": (n_rows, self.n_features)}

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Mapping[str, float] | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.blocks(x).flatten(1)
        if noise and numbers:
            x = drop(x, noise["dropout"], numbers["dropout"])
        out: Tensor = self.out(x)
        return out


def _block(config: CnnConfig, channels: int, next_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels,
            next_channels,
            config.kernel,
            padding=config.kernel // 2,
            bias=config.norm == "none",
        ),
        image_norm(config.norm, next_channels),
        activation(config.activation),
    )


def build_cnn(config: CnnConfig, input_shape: tuple[int, ...], n_outputs: int) -> Cnn:
    """Return the network of ``config`` for images of ``input_shape``."""
    return Cnn(config, input_shape, n_outputs)
