"""Config models of data sources and of preparation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, shape


class PrepareConfig(Settings):
    """How raw columns become numbers; every statistic comes from the training split only."""

    impute: Literal["mean", "median", "most_frequent"] = shape("mean")
    scale: Literal["standard", "minmax", "none"] = shape("standard")
    target: Literal["standard", "none"] = shape("standard")
    """Scaling of a regression target; metrics are reported in the target's own units."""


class SourceConfig(Settings):
    """What all sources of ours share: the shares of the splits and the preparation."""

    validation: float = Field(0.2, gt=0, lt=1)
    test: float | None = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)
    prepare: PrepareConfig = PrepareConfig()


class DigitsConfig(SourceConfig):
    """1,797 images of digits, 8 by 8 pixels, 10 classes (scikit-learn)."""

    source: Literal["digits"] = "digits"


class BreastCancerConfig(SourceConfig):
    """569 tumours, 30 numbers each, 2 classes (scikit-learn)."""

    source: Literal["breast_cancer"] = "breast_cancer"


class WineConfig(SourceConfig):
    """178 wines, 13 numbers each, 3 classes (scikit-learn)."""

    source: Literal["wine"] = "wine"


class IrisConfig(SourceConfig):
    """150 flowers, 4 numbers each, 3 classes (scikit-learn)."""

    source: Literal["iris"] = "iris"


class DiabetesConfig(SourceConfig):
    """442 patients, 10 numbers each, a number to predict (scikit-learn)."""

    source: Literal["diabetes"] = "diabetes"


class CsvConfig(SourceConfig):
    """A table in a CSV file with a header; numbers and categories are recognised."""

    source: Literal["csv"] = "csv"
    path: str
    target: str
    ignore: list[str] = Field(default_factory=list)
    categorical: list[str] = Field(default_factory=list)


class IdxConfig(SourceConfig):
    """A folder in MNIST's format, gzipped or not; ``t10k`` files, when present, are the test split.

    ``test`` is a share only where the folder has no ``t10k`` files.
    """

    source: Literal["idx"] = "idx"
    path: str
    test: float | None = Field(None, gt=0, lt=1)


class ImageFolderConfig(SourceConfig):
    """A folder of images: one sub-folder per class, every image brought to ``size`` by ``size``."""

    source: Literal["image_folder"] = "image_folder"
    path: str
    size: int = shape(32, ge=4, le=512)
    """Pixels a side; the cost of a training grows with its square."""
    channels: Literal["rgb", "grey"] = shape("rgb")


class ArraysConfig(SourceConfig):
    """Arrays or tensors given from Python under a name (``hpo.give_arrays``)."""

    source: Literal["arrays"] = "arrays"
    name: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data source: its config model and where its rows come from.

    Either ``loader`` (``module:function``, from config to ``RawData``) or ``datamodule`` (from
    config to a user's own LightningDataModule, which brings splits, batches and preparation).
    """

    config: type[Settings]
    loader: str | Callable[..., Any] = ""
    datamodule: Callable[[Settings], Any] | None = None


SOURCES: Registry[Source] = Registry("data source")

for _name, _config, _loader in (
    ("digits", DigitsConfig, "lightning_modules.data.tables:load_named"),
    ("breast_cancer", BreastCancerConfig, "lightning_modules.data.tables:load_named"),
    ("wine", WineConfig, "lightning_modules.data.tables:load_named"),
    ("iris", IrisConfig, "lightning_modules.data.tables:load_named"),
    ("diabetes", DiabetesConfig, "lightning_modules.data.tables:load_named"),
    ("csv", CsvConfig, "lightning_modules.data.tables:load_csv"),
    ("idx", IdxConfig, "lightning_modules.data.images:load_idx"),
    ("image_folder", ImageFolderConfig, "lightning_modules.data.image_folder:load_image_folder"),
    ("arrays", ArraysConfig, "lightning_modules.data.arrays:load_arrays"),
):
    SOURCES.register(_name)(Source(config=_config, loader=_loader))
