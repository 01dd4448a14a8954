"""The transformer for sequences and text: every step a token."""

from typing import Literal

from pydantic import model_validator

from lightning_modules.families.family import FAMILIES, Activation, Family, refuse_heads
from lightning_modules.settings import Settings, number, shape


class TransformerConfig(Settings):
    """Transformer for sequences and text: attention among the steps.

    A dense layer, or an embedding of tokens, to ``width`` numbers plus others for the step's place:
    ``learned`` ones, or waves (``sinusoidal``). ``n_layers`` blocks of attention with ``n_heads``
    heads and a dense part ``hidden_factor * width`` wide inside; each after a layer norm, each
    added to its input; in training, ``drop_path`` of the rows skip the last block, and fewer the
    earlier ones. ``pooling``: the mean of the steps, the last of them, or one more token that
    gathers the answer (``first``). Padding has no effect. Memory and time grow with the square of
    the number of steps. Vaswani et al., 2017, with the norms of Xiong et al., 2020.
    """

    family: Literal["transformer"] = "transformer"
    n_layers: int = shape(2, ge=1, le=48)
    width: int = shape(64, ge=1)
    n_heads: int = shape(4, ge=1)
    hidden_factor: float = shape(2.0, gt=0, le=8)
    activation: Activation = shape("gelu")
    places: Literal["learned", "sinusoidal"] = shape("sinusoidal")
    pooling: Literal["mean", "first", "last"] = shape("mean")
    dropout: float = number(0.1, ge=0, lt=1)
    attention_dropout: float = number(0.0, ge=0, lt=1)
    drop_path: float = number(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "TransformerConfig":
        refuse_heads(self.width, self.n_heads)
        return self

    @property
    def hidden_width(self) -> int:
        """The width inside the dense part of a block."""
        return max(round(self.hidden_factor * self.width), 1)


FAMILIES.register("transformer")(
    Family(
        config=TransformerConfig,
        builder="lightning_modules.networks.transformer:build_transformer",
        takes=("sequence", "text"),
        takes_noise=True,
    )
)
