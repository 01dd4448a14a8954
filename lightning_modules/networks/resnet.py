"""Build the residual convolutional network."""

import torch
from torch import Tensor, nn

from lightning_modules.families.resnet import ResnetConfig
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation, image_norm

SMALLEST_HALVED = 4
"""A side shorter than this is not halved again."""


class Resnet(nn.Module):
    """Residual blocks on ``(rows, channels, height, width)``; gives ``(rows, n_outputs)``.

    Source: He et al., 2016 ("Deep Residual Learning for Image Recognition"), with the stem of
    their CIFAR networks.
    """

    def __init__(self, config: ResnetConfig, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.first = _convolution(config, channels, config.width)
        self.blocks = nn.ModuleList()
        channels = config.width
        for stage, next_channels in enumerate(config.channels):
            for block in range(config.n_blocks):
                halve = stage > 0 and block == 0 and min(height, width) >= SMALLEST_HALVED
                self.blocks.append(ResidualBlock(config, channels, next_channels, halve=halve))
                if halve:
                    height, width = (height + 1) // 2, (width + 1) // 2
                channels = next_channels
        self.n_features = channels
        self.out = nn.Linear(channels, n_outputs)
        # Channels last in memory: faster on CPUs, the same numbers.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for the head, and one number a row for each block."""
        paths = {f"drop_path.{i}": (n_rows, 1, 1, 1) for i in range(len(self.blocks))}
        return {"dropout": (n_rows, self.n_features), **paths}

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.first(x)
        for i, block in enumerate(self.blocks):
            x = block(x, f"drop_path.{i}", (i + 1) / len(self.blocks), noise, numbers)
        x = drop_at("dropout", x.mean((2, 3)), noise, numbers)
        out: Tensor = self.out(x)
        return out


class ResidualBlock(nn.Module):
    """Two convolutions added to the input, ``(rows, channels, height, width)``.

    Where channels or sides change, so does the input, by a convolution of 1 by 1. A new block adds
    nothing: its last norm, or convolution if it has no norm, starts at zero (Goyal et al., 2017).
    """

    def __init__(self, config: ResnetConfig, n_in: int, n_out: int, *, halve: bool) -> None:
        super().__init__()
        stride = 2 if halve else 1
        bias = config.norm == "none"
        last = nn.Conv2d(n_out, n_out, 3, padding=1, bias=bias)
        norm = image_norm(config.norm, n_out)
        for parameter in last.parameters() if bias else norm.parameters():
            nn.init.zeros_(parameter)
        self.inside = nn.Sequential(_convolution(config, n_in, n_out, stride=stride), last, norm)
        self.around: nn.Module = nn.Identity()
        if halve or n_in != n_out:
            self.around = nn.Sequential(
                Projection(n_in, n_out, stride=stride), image_norm(config.norm, n_out)
            )
        self.activation = activation(config.activation)

    def forward(
        self, x: Tensor, place: str, share: float, noise: Noise | None, numbers: Numbers | None
    ) -> Tensor:
        """Return the block's outputs; ``place`` names the noise that lets rows skip it."""
        added = drop_at(place, self.inside(x), noise, numbers, share=share)
        out: Tensor = self.activation(added + self.around(x))
        return out


class Projection(nn.Module):
    """A convolution of 1 by 1: every ``stride``-th pixel's channels through a dense layer.

    Written as a product: PyTorch takes a convolution's 1 by 1 weights for channels-last ones,
    which members that are stacked cannot have.
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int) -> None:
        super().__init__()
        bound = n_in**-0.5
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(n_out, n_in).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(rows, n_out, height / stride, width / stride)``, rounded up."""
        kept = x[:, :, :: self.stride, :: self.stride]
        return torch.einsum("rchw,oc->rohw", kept, self.weight)


def _convolution(config: ResnetConfig, n_in: int, n_out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=config.norm == "none"),
        image_norm(config.norm, n_out),
        activation(config.activation),
    )


def build_resnet(config: ResnetConfig, input_shape: tuple[int, ...], n_outputs: int) -> Resnet:
    """Return the network of ``config`` for images of ``input_shape``."""
    return Resnet(config, input_shape, n_outputs)
