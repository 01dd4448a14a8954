"""The plain convolutional network for images."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lightning_modules.families.family import (
    FAMILIES,
    Activation,
    Family,
    Norm,
    optional_shape,
    sizes_default,
)
from lightning_modules.settings import Settings, number, shape


class CnnConfig(Settings):
    """Plain convolutional network: blocks of convolution, norm, activation, pooling.

    ``n_layers`` blocks, the first ``width`` channels wide and each ``growth`` times the last, or
    ``layers``: the channels of every block. A block is convolution, norm, activation, and a
    pooling of 2 by 2 while more than 3 pixels a side are left. Then ``head``: the mean over all
    positions, or all of them laid flat; dropout; a dense output layer.
    """

    family: Literal["cnn"] = "cnn"
    n_layers: int | None = optional_shape(ge=1, le=32)
    width: int | None = optional_shape(ge=1)
    growth: float | None = optional_shape(ge=1, le=4)
    layers: list[Annotated[int, Field(ge=1)]] | None = optional_shape(min_length=1, max_length=32)
    kernel: Literal[1, 3, 5, 7] = shape(3)
    pooling: Literal["max", "avg"] = shape("max")
    norm: Norm = shape("batch")
    activation: Activation = shape("relu")
    head: Literal["mean", "flat"] = shape("flat")
    dropout: float = number(0.1, ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _sizes(cls, values: object) -> object:
        return sizes_default(values, n_layers=3, width=32, growth=2.0)

    @property
    def channels(self) -> list[int]:
        """The channels of every block, first to last."""
        if self.layers is not None:
            return self.layers
        growth, width = self.growth or 1.0, self.width or 1
        return [round(width * growth**block) for block in range(self.n_layers or 0)]


FAMILIES.register("cnn")(
    Family(
        config=CnnConfig,
        builder="lightning_modules.networks.cnn:build_cnn",
        takes=("image",),
        takes_noise=True,
    )
)
