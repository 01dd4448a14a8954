"""The vision transformer: an image as a row of patches."""

from typing import Literal

from pydantic import model_validator

from lightning_modules.families.family import FAMILIES, Activation, Family, refuse_heads
from lightning_modules.settings import Settings, number, shape


class VitConfig(Settings):
    """Vision transformer: an image is cut into patches, attention among them.

    Patches of ``patch_size`` by ``patch_size`` pixels, which must divide the image; each becomes
    ``width`` numbers plus learned ones for its place. ``n_layers`` blocks of attention with
    ``n_heads`` heads and a dense part ``hidden_factor * width`` wide inside; each after a layer
    norm, each added to its input; in training, ``drop_path`` of the rows skip the last block, and
    fewer the earlier ones. ``head``: one more token gathers the answer (``first``), or the mean of
    all patches. Dosovitskiy et al., 2021.
    """

    family: Literal["vit"] = "vit"
    patch_size: int = shape(4, ge=1)
    n_layers: int = shape(4, ge=1, le=48)
    width: int = shape(64, ge=1)
    n_heads: int = shape(4, ge=1)
    hidden_factor: float = shape(2.0, gt=0, le=8)
    activation: Activation = shape("gelu")
    head: Literal["first", "mean"] = shape("mean")
    dropout: float = number(0.1, ge=0, lt=1)
    attention_dropout: float = number(0.0, ge=0, lt=1)
    drop_path: float = number(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "VitConfig":
        refuse_heads(self.width, self.n_heads)
        return self

    @property
    def hidden_width(self) -> int:
        """The width inside the dense part of a block."""
        return max(round(self.hidden_factor * self.width), 1)


FAMILIES.register("vit")(
    Family(
        config=VitConfig,
        builder="lightning_modules.networks.vit:build_vit",
        takes=("image",),
        takes_noise=True,
    )
)
