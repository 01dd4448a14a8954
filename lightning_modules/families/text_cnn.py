"""The convolutional network for text: phrases, wherever they stand."""

from typing import Annotated, Literal

from pydantic import Field

from lightning_modules.families.family import FAMILIES, Activation, Family
from lightning_modules.settings import Settings, number, shape


class TextCnnConfig(Settings):
    """Convolutional network for text: it looks for phrases, wherever they stand.

    An embedding of tokens to ``width``; for each of ``kernels``, ``n_filters`` convolutions over so
    many tokens, activation, the greatest value over all places; dropout, a dense output layer.
    Padding has no effect. Kim, 2014.
    """

    family: Literal["text_cnn"] = "text_cnn"
    width: int = shape(64, ge=1)
    kernels: list[Annotated[int, Field(ge=1, le=64)]] = shape(
        [3, 4, 5], min_length=1, max_length=16
    )
    n_filters: int = shape(64, ge=1)
    activation: Activation = shape("relu")
    dropout: float = number(0.3, ge=0, lt=1)


FAMILIES.register("text_cnn")(
    Family(
        config=TextCnnConfig,
        builder="lightning_modules.networks.text_cnn:build_text_cnn",
        takes=("text",),
        takes_noise=True,
    )
)
