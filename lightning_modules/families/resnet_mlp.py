"""The residual network for tables: dense blocks, each added to what it was given."""

from typing import Literal

from lightning_modules.families.embedding import Embedding, NoEmbeddingConfig
from lightning_modules.families.family import FAMILIES, Activation, Family, Norm
from lightning_modules.settings import Settings, number, shape


class ResnetMlpConfig(Settings):
    """Residual network for tables: dense blocks on features, or on images or sequences laid flat.

    A dense layer to ``width``, then ``n_layers`` blocks: norm, dense to ``hidden_factor * width``,
    activation, ``dropout``, dense to ``width``, ``residual_dropout``, added to the block's input.
    Then norm, activation, a dense output layer. Gorishniy et al., 2021.
    """

    family: Literal["resnet_mlp"] = "resnet_mlp"
    n_layers: int = shape(2, ge=1, le=64)
    width: int = shape(128, ge=1)
    hidden_factor: float = shape(1.0, gt=0, le=8)
    activation: Activation = shape("relu")
    norm: Norm = shape("batch")
    dropout: float = number(0.4, ge=0, lt=1)
    residual_dropout: float = number(0.0, ge=0, lt=1)
    embedding: Embedding = shape(NoEmbeddingConfig())

    @property
    def hidden_width(self) -> int:
        """The width inside a block."""
        return max(round(self.hidden_factor * self.width), 1)


FAMILIES.register("resnet_mlp")(
    Family(
        config=ResnetMlpConfig,
        builder="lightning_modules.networks.resnet_mlp:build_resnet_mlp",
        takes=("features", "image", "sequence"),
        takes_noise=True,
    )
)
