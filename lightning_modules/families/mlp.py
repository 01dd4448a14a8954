"""The multilayer perceptron: features, or images or sequences laid flat, through dense layers."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lightning_modules.families.embedding import Embedding, NoEmbeddingConfig, is_none
from lightning_modules.families.family import (
    FAMILIES,
    Activation,
    Family,
    Norm,
    optional_shape,
    sizes_default,
)
from lightning_modules.settings import Settings, number, shape


class MlpConfig(Settings):
    """Multilayer perceptron: dense layers on features, or on images or sequences laid flat.

    ``n_layers`` hidden layers of ``width`` each, or ``layers``: one width per hidden layer. Each
    hidden layer is dense, norm, activation, dropout; a dense output layer follows. ``embedding``
    makes a vector of every feature first.
    """

    family: Literal["mlp"] = "mlp"
    n_layers: int | None = optional_shape(ge=1, le=64)
    width: int | None = optional_shape(ge=1)
    layers: list[Annotated[int, Field(ge=1)]] | None = optional_shape(max_length=64)
    activation: Activation = shape("relu")
    norm: Norm = shape("none")
    dropout: float = number(0.1, ge=0, lt=1)
    # Left out of records where it is none: a config from before there was one keeps its hash.
    embedding: Embedding = shape(NoEmbeddingConfig(), exclude_if=is_none)

    @model_validator(mode="before")
    @classmethod
    def _sizes(cls, values: object) -> object:
        return sizes_default(values, n_layers=2, width=128)

    @property
    def widths(self) -> list[int]:
        """The width of every hidden layer, first to last."""
        return self.layers if self.layers is not None else [self.width or 1] * (self.n_layers or 0)


FAMILIES.register("mlp")(
    Family(
        config=MlpConfig,
        builder="lightning_modules.networks.mlp:build_mlp",
        takes=("features", "image", "sequence"),
        takes_noise=True,
    )
)
