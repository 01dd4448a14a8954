"""Config models of made-up data, for tests and first steps."""

from typing import Literal

from pydantic import Field

from lightning_modules.data.config import SOURCES, Source, SourceConfig


class SyntheticConfig(SourceConfig):
    """What made-up data share: as many rows as are wanted, the same for the same seed."""

    n_rows: int = Field(600, ge=30, le=1_000_000)
    data_seed: int = Field(0, ge=0, lt=2**32)
    """From which the rows are made."""


class ShapesConfig(SyntheticConfig):
    """Grey images of 16 by 16 pixels: circles, squares and triangles of any size and place."""

    source: Literal["shapes"] = "shapes"


class MoonsConfig(SyntheticConfig):
    """Two half circles in each other, two numbers a row, two classes (scikit-learn)."""

    source: Literal["moons"] = "moons"


class MultilabelPointsConfig(SyntheticConfig):
    """Counts of 16 things a row, which make any of 5 labels more or less likely (scikit-learn)."""

    source: Literal["multilabel_points"] = "multilabel_points"


class SequenceSumConfig(SyntheticConfig):
    """Sequences of different lengths; the class says whether the marked numbers add up to above 0.

    The first channel has the numbers, the second is 1 at those that are marked.
    """

    source: Literal["sequence_sum"] = "sequence_sum"


class SeasonalConfig(SyntheticConfig):
    """A series with two seasons (24 and 168 steps), a trend and noise, to forecast.

    ``n_rows`` are its steps.
    """

    source: Literal["seasonal"] = "seasonal"
    n_rows: int = Field(1500, ge=30, le=1_000_000)


class SentencesConfig(SyntheticConfig):
    """Opinions in plain English; the class depends on words, their order and negation."""

    source: Literal["sentences"] = "sentences"
    n_rows: int = Field(2000, ge=30, le=1_000_000)


for _config in (
    ShapesConfig,
    MoonsConfig,
    MultilabelPointsConfig,
    SequenceSumConfig,
    SeasonalConfig,
    SentencesConfig,
):
    _name = str(_config.model_fields["source"].default)
    SOURCES.register(_name)(
        Source(config=_config, loader=f"lightning_modules.data.synthetic:load_{_name}")
    )
