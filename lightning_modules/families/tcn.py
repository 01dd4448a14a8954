"""The temporal convolutional network for sequences and text."""

from typing import Literal

from lightning_modules.families.family import FAMILIES, Activation, Family, StepPooling
from lightning_modules.settings import Settings, number, shape


class TcnConfig(Settings):
    """Temporal convolutional network for sequences and text: each step sees those before it.

    A dense layer, or an embedding of tokens, to ``width``; ``n_layers`` blocks, each added to its
    input, of two convolutions over ``kernel`` steps with weight norm, activation and ``dropout`` of
    whole channels. The steps that a convolution sees are twice as far apart in each block: the last
    block sees ``1 + 2 * (kernel - 1) * (2 ** n_layers - 1)`` of them. Then ``pooling`` of the
    steps and a dense output layer. Padding has no effect. Bai et al., 2018.
    """

    family: Literal["tcn"] = "tcn"
    n_layers: int = shape(4, ge=1, le=12)
    width: int = shape(64, ge=1)
    kernel: int = shape(3, ge=2, le=64)
    activation: Activation = shape("relu")
    pooling: StepPooling = shape("attention")
    dropout: float = number(0.1, ge=0, lt=1)


FAMILIES.register("tcn")(
    Family(
        config=TcnConfig,
        builder="lightning_modules.networks.tcn:build_tcn",
        takes=("sequence", "text"),
        takes_noise=True,
    )
)
