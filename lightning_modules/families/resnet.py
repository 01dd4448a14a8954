"""The residual convolutional network for small images."""

from typing import Literal

from lightning_modules.families.family import FAMILIES, Activation, Family, Norm
from lightning_modules.settings import Settings, number, shape


class ResnetConfig(Settings):
    """Residual convolutional network for images, with a stem for small ones.

    A convolution of 3 by 3 to ``width`` channels, then ``n_stages`` stages of ``n_blocks`` blocks.
    Each stage has ``growth`` times the channels of the last, and halves the sides while more than
    3 pixels are left. A block is two convolutions with norm and activation, added to its input; in
    training, ``drop_path`` of the rows skip the last block, and fewer the earlier ones (Huang et
    al., 2016). Then the mean over all positions, dropout, a dense output layer. He et al., 2016.
    """

    family: Literal["resnet"] = "resnet"
    n_stages: int = shape(3, ge=1, le=6)
    n_blocks: int = shape(1, ge=1, le=32)
    width: int = shape(32, ge=1)
    growth: float = shape(2.0, ge=1, le=4)
    norm: Norm = shape("batch")
    activation: Activation = shape("relu")
    dropout: float = number(0.1, ge=0, lt=1)
    drop_path: float = number(0.0, ge=0, lt=1)

    @property
    def channels(self) -> list[int]:
        """The channels of every stage, first to last."""
        return [round(self.width * self.growth**stage) for stage in range(self.n_stages)]


FAMILIES.register("resnet")(
    Family(
        config=ResnetConfig,
        builder="lightning_modules.networks.resnet:build_resnet",
        takes=("image",),
        takes_noise=True,
    )
)
