"""Config models of data sources and of preparation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainValidator, model_validator

from lightning_modules.data.augment_config import NOT_AUGMENTED, AugmentConfig, is_off
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


def _unless(default: object) -> Callable[[object], bool]:
    """Return what says whether a setting is its default, which records then leave out."""
    return lambda value: value == default


class PrepareConfig(Settings):
    """How raw rows become numbers; every statistic comes from the training split only."""

    impute: Literal["mean", "median", "most_frequent"] = shape("mean")
    """What a missing number becomes."""
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
    length: int | None = shape(None, ge=1, exclude_if=_is_none)
    """Steps of a sequence or tokens of a text: cut behind them, or padded up to them.

    By default as many as the longest training row has, of texts at most 256.
    """
    difference: int = shape(0, ge=0, le=3, exclude_if=_unless(0))
    """Replace sequences by the differences of their steps, so many times."""
    tokens: Literal["words", "characters", "bpe"] = shape("words", exclude_if=_unless("words"))
    """What a text is cut into; bpe: byte-pair encoding, learned from the training texts."""
    vocabulary: int = shape(10_000, ge=1, exclude_if=_unless(10_000))
    """The most tokens that are told apart; the others are one unknown token."""
    lowercase: bool = shape(True, exclude_if=_unless(True))
    """Whether upper and lower case are the same to a network of texts."""

    @model_validator(mode="after")
    def _whole_numbers(self) -> "PrepareConfig":
        for name, value in (("rare", self.rare), ("pca", self.pca)):
            if value is not None and value >= 1 and value % 1:
                raise conflict(f"{name}: {value} is no whole number; a share is below 1")
        return self


class SourceConfig(Settings):
    """What all sources of ours share: the shares of the splits and the preparation."""

    validation: float = Field(0.2, gt=0, lt=1)
    """The share of the rows that the search judges by."""
    test: float | None = Field(0.2, gt=0, lt=1)
    """The share that nothing but ``hpo evaluate --test`` looks at."""
    split_seed: int = Field(0, ge=0, lt=2**32)
    """By which rows are dealt out."""
    split: Literal["random", "stratified"] | None = Field(None, exclude_if=_is_none)
    """By default stratified, so that each class has its share, where there are classes."""
    duplicates: Literal["keep", "drop"] = Field("keep", exclude_if=_is_keep)
    """Rows of equal features stay in one split; ``drop`` leaves out those of equal target too."""
    folds: int | None = Field(None, ge=2, le=50, exclude_if=_is_none)
    """Cross-validation: train once per fold, which validates, on the others; the mean counts."""
    fold: int | None = Field(None, ge=0, exclude_if=_is_none)
    """Train for this fold alone, counted from 0."""
    prepare: PrepareConfig = PrepareConfig()
    augment: AugmentConfig = Field(NOT_AUGMENTED, exclude_if=is_off)

    @model_validator(mode="after")
    def _folds_replace_validation(self) -> "SourceConfig":
        if self.folds is None:
            if self.fold is not None:
                raise conflict("fold: has no effect without folds; remove this setting")
            return self
        found = []
        if self.validation != SourceConfig.model_fields["validation"].default:
            found.append("validation: each of the folds validates once; remove this setting")
        if self.fold is not None and self.fold >= self.folds:
            found.append(f"fold: of {self.folds} folds the last is {self.folds - 1}")
        if found:
            raise conflict(*found)
        return self


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


def _columns(value: object) -> object:
    """Check the name of a column, or a list of several."""
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{value!r} names no column; the column to predict, or [one, another]")
    if isinstance(value, list) and len(set(names)) < max(2, len(names)):
        raise ValueError("is a list for several columns; name each once, or one without brackets")
    return value


Columns: TypeAlias = Annotated[
    str | list[str], PlainValidator(_columns, json_schema_input_type=str | list[str])
]


class TableConfig(SourceConfig):
    """What tables in files share; the kinds of their columns are recognised."""

    path: str
    target: Columns
    """The column to predict, or a list of several."""
    ignore: list[str] = Field(default_factory=list)
    """Columns that are not read."""
    categorical: list[str] = Field(default_factory=list)
    """Columns whose numbers or dates are names."""
    split: Literal["random", "stratified", "grouped", "time"] | None = Field(  # type: ignore[assignment]
        None, exclude_if=_is_none
    )
    group: str | None = Field(None, exclude_if=_is_none)
    """For ``split: grouped``: the rows of one value of this column stay in one split."""
    time: str | None = Field(None, exclude_if=_is_none)
    """The column of dates or numbers by whose order rows are cut: for ``split: time``, or a series
    to forecast."""
    use_split_column: bool = Field(False, exclude_if=_is_false)
    """Let the column ``group`` or ``time`` be a feature too."""
    text: str | None = Field(None, exclude_if=_is_none)
    """Predict from the texts in this column alone; the other columns are not looked at."""

    @model_validator(mode="after")
    def _split_has_its_column(self) -> "TableConfig":
        found = []
        for kind, key, column in (
            ("grouped", "group", self.group),
            ("time", "time", self.time),
        ):
            if self.split == kind and column is None:
                found.append(f"{key}: missing; name the column for split: {kind}")
            # Without a split a column of moments orders a series to forecast: see RunConfig.
            if self.split != kind and column is not None and (key != "time" or self.split):
                found.append(f"{key}: has no effect without split: {kind}; remove this setting")
        if self.use_split_column and self.group is None and self.time is None:
            found.append("use_split_column: there is no such column; remove this setting")
        for name in ("ignore", "categorical", "use_split_column"):
            if self.text is not None and getattr(self, name):
                found.append(f"{name}: data.text alone is read; remove this setting")
        if self.split == "time" and self.folds is not None:
            found.append("folds: time alone decides the split; remove this setting")
        if self.split == "time" and self.split_seed:
            found.append("split_seed: time alone decides the split; remove this setting")
        if found:
            raise conflict(*found)
        return self

    @property
    def targets(self) -> list[str]:
        """The columns to predict."""
        return [self.target] if isinstance(self.target, str) else self.target


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


class ImageConfig(SourceConfig):
    """What sources of image files share: every image is brought to ``size`` by ``size``."""

    path: str
    size: int = shape(32, ge=4, le=512)
    """Pixels a side; the cost of a training grows with its square."""
    channels: Literal["rgb", "grey"] = shape("rgb")
    skip_unreadable: bool = Field(False, exclude_if=_is_false)
    """Leave out images that cannot be decoded, with a warning that counts them."""


class ImageFolderConfig(ImageConfig):
    """A folder of images: one sub-folder per class."""

    source: Literal["image_folder"] = "image_folder"


class ImageCsvConfig(ImageConfig):
    """A CSV file with a header that names image files and what is to be predicted of each."""

    source: Literal["image_csv"] = "image_csv"
    image: str = "image"
    """The column of the files' names, below the folder of the CSV file."""
    target: Columns
    """The column to predict, or a list of several."""
    split: Literal["random", "stratified", "grouped"] | None = Field(  # type: ignore[assignment]
        None, exclude_if=_is_none
    )
    group: str | None = Field(None, exclude_if=_is_none)
    """For ``split: grouped``: the images of one value of this column stay in one split."""

    @model_validator(mode="after")
    def _split_has_its_column(self) -> "ImageCsvConfig":
        if self.split == "grouped" and self.group is None:
            raise conflict("group: missing; name the column for split: grouped")
        if self.split != "grouped" and self.group is not None:
            raise conflict("group: has no effect without split: grouped; remove this setting")
        return self


class HuggingFaceConfig(TableConfig):
    """A folder that ``save_to_disk`` of Hugging Face's datasets wrote; needs that extra.

    Rows are the columns beside the target; or with ``text`` or ``image`` those of one column alone.
    Of several splits, ``test``, when present, is the test split.
    """

    source: Literal["huggingface"] = "huggingface"
    test: float | None = Field(None, gt=0, lt=1)
    image: str | None = Field(None, exclude_if=_is_none)
    """Predict from the images in this column alone."""
    size: int = shape(32, ge=4, le=512, exclude_if=_unless(32))
    """Pixels a side of an image."""
    channels: Literal["rgb", "grey"] = shape("rgb", exclude_if=_unless("rgb"))
    skip_unreadable: bool = Field(False, exclude_if=_is_false)
    """Leave out images that cannot be decoded, with a warning that counts them."""

    @model_validator(mode="after")
    def _images_or_columns(self) -> "HuggingFaceConfig":
        fields = type(self).model_fields
        of_images = ("size", "channels", "skip_unreadable")
        of_columns = ("text", "ignore", "categorical", "use_split_column")
        changed = [
            name
            for name in (of_images if self.image is None else of_columns)
            if getattr(self, name) != fields[name].get_default(call_default_factory=True)
        ]
        why = "there is no data.image" if self.image is None else "data.image alone is read"
        if changed:
            raise conflict(*(f"{name}: {why}; remove this setting" for name in changed))
        return self

    @property
    def images(self) -> ImageConfig:
        """How its images are read."""
        return ImageConfig(
            path=self.path,
            size=self.size,
            channels=self.channels,
            skip_unreadable=self.skip_unreadable,
        )


class NpzConfig(SourceConfig):
    """Arrays in a NumPy archive; ``x_test`` and ``y_test``, when present, are the test split.

    Rows are features, sequences, images or texts, by their shape as in ``hpo.give_arrays``.
    """

    source: Literal["npz"] = "npz"
    path: str
    x: str = "x"
    """The array of inputs; ``x_test`` is called after it."""
    y: str = "y"
    """The array of targets; ``y_test`` is called after it."""
    lengths: str = "lengths"
    """If present, how many steps of each sequence in ``x`` are real."""
    sequences: bool = Field(False, exclude_if=_is_false)
    """Read inputs ``(rows, steps)`` as sequences of one channel, not as features."""


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
    ("digits", DigitsConfig, "lightning_modules.data.named:load_named"),
    ("breast_cancer", BreastCancerConfig, "lightning_modules.data.named:load_named"),
    ("wine", WineConfig, "lightning_modules.data.named:load_named"),
    ("iris", IrisConfig, "lightning_modules.data.named:load_named"),
    ("diabetes", DiabetesConfig, "lightning_modules.data.named:load_named"),
    ("csv", CsvConfig, "lightning_modules.data.tables:load_csv"),
    ("parquet", ParquetConfig, "lightning_modules.data.tables:load_parquet"),
    ("idx", IdxConfig, "lightning_modules.data.images:load_idx"),
    ("image_folder", ImageFolderConfig, "lightning_modules.data.image_folder:load_image_folder"),
    ("image_csv", ImageCsvConfig, "lightning_modules.data.image_csv:load_image_csv"),
    ("huggingface", HuggingFaceConfig, "lightning_modules.data.huggingface:load_huggingface"),
    ("npz", NpzConfig, "lightning_modules.data.npz:load_npz"),
    ("arrays", ArraysConfig, "lightning_modules.data.arrays:load_arrays"),
):
    SOURCES.register(_name)(Source(config=_config, loader=_loader))
