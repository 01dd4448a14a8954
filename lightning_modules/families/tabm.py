"""The parameter-efficient ensemble of multilayer perceptrons for tables."""

from typing import Literal

from lightning_modules.families.embedding import Embedding, NoEmbeddingConfig
from lightning_modules.families.family import FAMILIES, Activation, Family
from lightning_modules.settings import Settings, number, shape


class TabmConfig(Settings):
    """Ensemble of ``n_members`` perceptrons that share their weights, for tables.

    Each member is ``n_layers`` hidden layers of ``width``, activation and dropout, and a dense
    output layer of its own. In a hidden layer the members have the weights in common, and each a
    scale per input, a scale per output and a bias of its own. All members are trained on every
    batch, by the mean of their losses; the ensemble predicts the mean of their predictions.
    Gorishniy et al., 2025.
    """

    family: Literal["tabm"] = "tabm"
    n_members: int = shape(16, ge=1, le=256)
    n_layers: int = shape(2, ge=1, le=64)
    width: int = shape(128, ge=1)
    activation: Activation = shape("relu")
    dropout: float = number(0.1, ge=0, lt=1)
    embedding: Embedding = shape(NoEmbeddingConfig())


FAMILIES.register("tabm")(
    Family(
        config=TabmConfig,
        builder="lightning_modules.networks.tabm:build_tabm",
        takes_noise=True,
        ensemble=True,
    )
)
