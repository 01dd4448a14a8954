"""Build the vision transformer."""

import torch
from torch import Tensor, nn

from lightning_modules.errors import UsageError
from lightning_modules.families.vit import VitConfig
from lightning_modules.layers.attention import TransformerBlock, noise_of_blocks, with_first
from lightning_modules.layers.noise import Noise, Numbers


class Vit(nn.Module):
    """A transformer over patches of ``(rows, channels, height, width)``; ``(rows, n_outputs)``.

    Source: Dosovitskiy et al., 2021 ("An Image is Worth 16x16 Words").
    """

    def __init__(self, config: VitConfig, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        size = config.patch_size
        self.config = config
        self.patches = nn.Conv2d(channels, config.width, size, stride=size)
        n_patches = (height // size) * (width // size)
        self.n_tokens = n_patches + (config.head == "first")
        # One dimension each: what has one is not decayed.
        self.places = nn.Parameter(0.02 * torch.empty(n_patches * config.width).normal_())
        self.first = (
            nn.Parameter(0.02 * torch.empty(config.width).normal_())
            if config.head == "first"
            else None
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
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.places.view(x.shape[1:])
        if self.first is not None:
            x = with_first(self.first, x)
        for block in self.blocks:
            x = block(x, noise, numbers)
        x = self.norm(x)
        out: Tensor = self.out(x.mean(1) if self.first is None else x[:, 0])
        return out


def build_vit(config: VitConfig, input_shape: tuple[int, ...], n_outputs: int) -> Vit:
    """Return the network of ``config`` for images of ``input_shape``.

    Raises:
        UsageError: if the patches do not divide the image.
    """
    _, height, width = input_shape
    if height % config.patch_size or width % config.patch_size:
        fitting = [n for n in range(1, min(height, width) + 1) if not height % n and not width % n]
        what = f"{config.patch_size} does not divide images of {height} by {width} pixels"
        raise UsageError("model.patch_size", what, f"one of: {', '.join(map(str, fitting))}")
    return Vit(config, input_shape, n_outputs)
