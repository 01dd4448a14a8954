"""The feature tokenizer and transformer for tables: every feature a token."""

from typing import Literal

from pydantic import model_validator

from lightning_modules.families.embedding import Embedding, NoEmbeddingConfig, is_none
from lightning_modules.families.family import FAMILIES, Activation, Family, refuse_heads
from lightning_modules.settings import Settings, number, shape


class FtTransformerConfig(Settings):
    """Transformer for tables: every feature is a token, attention among them.

    A feature's token is its value times a learned vector of ``width`` numbers plus another; with an
    ``embedding`` it is a dense layer of its own on the vector that this makes of it. One more token
    gathers the answer. ``n_layers`` blocks of attention with ``n_heads`` heads and a
    gated dense part, ``hidden_factor * width`` wide inside; each after a layer norm, each added to
    its input. Memory and time grow with the square of the number of features. Gorishniy et al.,
    2021.
    """

    family: Literal["ft_transformer"] = "ft_transformer"
    n_layers: int = shape(2, ge=1, le=32)
    width: int = shape(128, ge=1)
    n_heads: int = shape(8, ge=1)
    hidden_factor: float = shape(1.5, gt=0, le=8)
    activation: Activation = shape("relu")
    dropout: float = number(0.1, ge=0, lt=1)
    attention_dropout: float = number(0.1, ge=0, lt=1)
    residual_dropout: float = number(0.0, ge=0, lt=1)
    embedding: Embedding = shape(NoEmbeddingConfig(), exclude_if=is_none)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "FtTransformerConfig":
        refuse_heads(self.width, self.n_heads)
        return self

    @property
    def hidden_width(self) -> int:
        """The width inside the dense part of a block."""
        return max(round(self.hidden_factor * self.width), 1)


FAMILIES.register("ft_transformer")(
    Family(
        config=FtTransformerConfig,
        builder="lightning_modules.networks.ft_transformer:build_ft_transformer",
        takes=("features",),
        takes_noise=True,
    )
)
