"""How the features of a table become vectors before the first dense layer: config models."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, Tagged, shape


class NoEmbeddingConfig(Settings):
    """Every feature as the one number that it is."""

    name: Literal["none"] = "none"


class PiecewiseLinearConfig(Settings):
    """How far a feature has come through each of its bins, then a dense layer of its own and ReLU.

    The edges of the ``n_bins`` bins are quantiles of the training rows. Gorishniy et al., 2022.
    """

    name: Literal["piecewise_linear"] = "piecewise_linear"
    n_bins: int = shape(16, ge=2, le=256)
    width: int = shape(8, ge=1, le=512)


class PeriodicConfig(Settings):
    """Sines and cosines of a feature, then a dense layer of its own and ReLU.

    The ``n_frequencies`` are learned, and start normal with standard deviation
    ``frequency_scale``. Gorishniy et al., 2022.
    """

    name: Literal["periodic"] = "periodic"
    n_frequencies: int = shape(16, ge=1, le=512)
    frequency_scale: float = shape(0.1, gt=0)
    width: int = shape(8, ge=1, le=512)


@dataclass(frozen=True)
class EmbeddingEntry:
    """An embedding: its config model; ``lightning_modules.layers.embeddings`` builds it."""

    config: type[Settings]


EMBEDDINGS: Registry[EmbeddingEntry] = Registry("embedding")
EMBEDDINGS.register("none")(EmbeddingEntry(NoEmbeddingConfig))
EMBEDDINGS.register("piecewise_linear")(EmbeddingEntry(PiecewiseLinearConfig))
EMBEDDINGS.register("periodic")(EmbeddingEntry(PeriodicConfig))

Embedding: TypeAlias = Annotated[Settings, Tagged(EMBEDDINGS, "name")]


def is_none(embedding: Settings) -> bool:
    """Return whether ``embedding`` leaves the features as they are."""
    return isinstance(embedding, NoEmbeddingConfig)
