"""Config models of data sources and of preparation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, conflict, shape


def _is_none(value: object) -> bool:
    """Say whether a setting is off, which records then leave out."""
    return value is None


def _is_false(value: object) -> bool:
    """Say whether a switch is off, which records then leave out."""
    return value is False


def _is_keep(value: object) -> bool:
    """Say whether rows are kept, which records leave out."""
    return value == "keep"


class PrepareConfig(Settings):
    """How raw columns become numbers; every statistic comes from the training split only."""

    impute: Literal["mean", "median", "most_frequent"] = shape("mean")
    indicator: bool = shape(False, exclude_if=_is_false)
    """One more feature for each column with missing values: 1 where the value is missing."""
    clip: float | None = shape(None, gt=0, lt=0.5, exclude_if=_is_none)
    """Numbers below this quantile of the column, or above 1 minus it, become the quantile."""
    rare: float | None = shape(None, gt=0, exclude_if=_is_none)
    """Categories of fewer rows become one: below 1 a share of the rows, otherwise a number."""
    scale: Literal["standard", "robust", "quantile", "minmax", "none"] = shape("standard")
    """quantile: the place among the training values, on the scale of a normal distribution."""
    pca: float | None = shape(None, gt=0, exclude_if=_is_none)
    """Principal components of all features: below 1 a share of variance, otherwise a number."""
    target: Literal["standard", "log", "none"] = shape("standard")
    """Scaling of a regression target; metrics are reported in the target's own units."""

    @model_validator(mode="after")
    def _whole_numbers(self) -> "PrepareConfig":
        for name, value in (("rare", self.rare), ("pca", self.pca)):
            if value is not None and value >= 1 and value % 1:
                raise conflict(f"{name}: {value} is no whole number; a share is below 1")
        return self


class SourceConfig(Settings):
    """What all sources of ours share: the shares of the splits and the preparation."""

    validation: float = Field(0.2, gt=0, lt=1)
    test: float | None = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)
    split: Literal["random", "stratified"] | None = Field(None, exclude_if=_is_none)
    """By default stratified, so that each class has its share, where there are classes."""
    duplicates: Literal["keep", "drop"] = Field("keep", exclude_if=_is_keep)
    """Rows of equal features stay in one split; ``drop`` leaves out those of equal target too."""
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


class TableConfig(SourceConfig):
    """What tables in files share; the kinds of their columns are recognised."""

    path: str
    target: str
    ignore: list[str] = Field(default_factory=list)
    categorical: list[str] = Field(default_factory=list)
    split: Literal["random", "stratified", "grouped", "time"] | None = Field(  # type: ignore[assignment]
        None, exclude_if=_is_none
    )
    group: str | None = Field(None, exclude_if=_is_none)
    """For ``split: grouped``: the rows of one value of this column stay in one split."""
    time: str | None = Field(None, exclude_if=_is_none)
    """For ``split: time``: the column of dates or numbers by whose order the rows are cut."""
    use_split_column: bool = Field(False, exclude_if=_is_false)
    """Let the column ``group`` or ``time`` be a feature too."""

    @model_validator(mode="after")
    def _split_has_its_column(self) -> "TableConfig":
        found = []
        for kind, key, column in (
            ("grouped", "group", self.group),
            ("time", "time", self.time),
        ):
            if self.split == kind and column is None:
                found.append(f"{key}: missing; name the column for split: {kind}")
            if self.split != kind and column is not None:
                found.append(f"{key}: has no effect without split: {kind}; remove this setting")
        if self.use_split_column and self.group is None and self.time is None:
            found.append("use_split_column: there is no such column; remove this setting")
        if self.split == "time" and self.split_seed:
            found.append("split_seed: time alone decides the split; remove this setting")
        if found:
            raise conflict(*found)
        return self


class CsvConfig(TableConfig):
    """A table in a CSV file with a header; its encoding and delimiter are recognised."""

    source: Literal["csv"] = "csv"
    delimiter: str | None = Field(None, min_length=1, max_length=1, exclude_if=_is_none)
    """What stands between fields; by default recognised: comma, semicolon, tab or bar."""
    encoding: str | None = Field(None, exclude_if=_is_none)
    """A name of Python's, such as utf-8, gb18030, cp1252; by default recognised."""

    @model_validator(mode="after")
    def _can_be_read(self) -> "CsvConfig":
        if self.delimiter is not None and (self.delimiter.isalnum() or self.delimiter in '"\r\n'):
            raise conflict(f"delimiter: {self.delimiter!r} cannot stand between fields; such as ;")
        try:
            "".encode(self.encoding or "utf-8")
        except LookupError:
            raise conflict(
                f"encoding: no text encoding {self.encoding!r}; such as utf-8, gb18030, cp1252"
            ) from None
        return self


class ParquetConfig(TableConfig):
    """A table in a Parquet file; needs the extra ``parquet``."""

    source: Literal["parquet"] = "parquet"


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
    ("parquet", ParquetConfig, "lightning_modules.data.tables:load_parquet"),
    ("idx", IdxConfig, "lightning_modules.data.images:load_idx"),
    ("image_folder", ImageFolderConfig, "lightning_modules.data.image_folder:load_image_folder"),
    ("arrays", ArraysConfig, "lightning_modules.data.arrays:load_arrays"),
):
    SOURCES.register(_name)(Source(config=_config, loader=_loader))
