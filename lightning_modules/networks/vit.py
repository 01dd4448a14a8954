"""Build the vision transformer."""

import torch
from torch import Tensor, nn

from lightning_modules.errors import UsageError
from lightning_modules.families.vit import VitConfig
from lightning_modules.layers.attention import Attention, with_first
from lightning_modules.layers.noise import Noise, Numbers, drop_at
from lightning_modules.layers.parts import activation


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
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, n_outputs)

    def noise_shapes(self, n_rows: int) -> dict[str, tuple[int, ...]]:
        """Return what one step needs: noise for attention, inside, and a number a row for skips."""
        tokens, config = self.n_tokens, self.config
        shapes: dict[str, tuple[int, ...]] = {}
        for i in range(config.n_layers):
            shapes[f"attention_dropout.{i}"] = (n_rows, config.n_heads, tokens, tokens)
            shapes[f"dropout.{i}"] = (n_rows, tokens, config.hidden_width)
            shapes[f"drop_path.{i}.attention"] = (n_rows, 1, 1)
            shapes[f"drop_path.{i}.dense"] = (n_rows, 1, 1)
        return shapes

    def forward(
        self, x: Tensor, noise: Noise | None = None, numbers: Numbers | None = None
    ) -> Tensor:
        """Return ``(rows, n_outputs)``; without ``noise`` nothing is dropped."""
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.places.view(x.shape[1:])
        if self.first is not None:
            x = with_first(self.first, x)
        for i, block in enumerate(self.blocks):
            x = block(x, i, noise, numbers)
        x = self.norm(x)
        out: Tensor = self.out(x.mean(1) if self.first is None else x[:, 0])
        return out


class _Block(nn.Module):
    """Attention, then a dense part, on ``(rows, tokens, width)``."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden_width
        self.n_layers = config.n_layers
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, config.n_heads)
        self.widen = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), activation(config.activation)
        )
        self.narrow = nn.Linear(hidden, width)

    def forward(
        self, x: Tensor, index: int, noise: Noise | None, numbers: Numbers | None
    ) -> Tensor:
        """Return ``(rows, tokens, width)``."""
        share, place = (index + 1) / self.n_layers, f"drop_path.{index}"
        seen = self.attention(
            self.before_attention(x), f"attention_dropout.{index}", noise, numbers
        )
        x = x + drop_at(f"{place}.attention", seen, noise, numbers, share=share)
        inside = drop_at(f"dropout.{index}", self.widen(x), noise, numbers)
        return x + drop_at(f"{place}.dense", self.narrow(inside), noise, numbers, share=share)


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
