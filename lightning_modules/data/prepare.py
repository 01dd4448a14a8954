"""Turn raw features into float32 by statistics that are fitted on training rows and are JSON."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.frames import Array, as_frame, is_numeric, numbers_of, texts_of
from lightning_modules.data.image_preparation import ImagePreparation, fit_images
from lightning_modules.data.rounding import to_float32
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings


class NumericColumn(Settings):
    """A column of numbers: missing ones become ``fill``, then ``(value - center) / scale``."""

    kind: Literal["number"] = "number"
    name: str
    fill: float
    center: float
    scale: float

    @property
    def feature_names(self) -> list[str]:
        """The column's own name: one feature."""
        return [self.name]

    def apply(self, column: "pd.Series[Any]") -> npt.NDArray[np.float32]:
        """Return the column as ``(rows, 1)``.

        Raises:
            DataError: if a value is text or infinite: the column, the value and its row.
        """
        values = numbers_of(column, where="data")
        infinite = np.isinf(values)
        if infinite.any():
            row = int(infinite.argmax()) + 1
            raise DataError("data", f"column {self.name!r} has an infinite number in row {row}")
        values = np.where(np.isnan(values), self.fill, values)
        with np.errstate(over="ignore"):
            return to_float32((values - self.center) / self.scale)[:, None]


class CategoryColumn(Settings):
    """A column of text: missing becomes ``fill``, then one feature per category.

    A category that training never saw is all zeros.
    """

    kind: Literal["category"] = "category"
    name: str
    fill: str
    categories: list[str]

    @property
    def feature_names(self) -> list[str]:
        """One name per category: ``colour=red``."""
        return [f"{self.name}={category}" for category in self.categories]

    def apply(self, column: "pd.Series[Any]") -> npt.NDArray[np.float32]:
        """Return the column one-hot, ``(rows, categories)``."""
        texts = pd.Series(texts_of(column), dtype=object)
        codes = pd.Index(self.categories, dtype=object).get_indexer(
            pd.Index(texts.where(texts.notna(), self.fill), dtype=object)
        )
        features = np.zeros((len(codes), len(self.categories)), dtype=np.float32)
        known = np.flatnonzero(codes >= 0)
        features[known, codes[known]] = 1.0
        return features


Column: TypeAlias = Annotated[NumericColumn | CategoryColumn, Field(discriminator="kind")]


class TablePreparation(Settings):
    """The fitted columns of a table, in the order of their features."""

    kind: Literal["table"] = "table"
    columns: list[Column]

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature, in order."""
        return [name for column in self.columns for name in column.feature_names]

    @property
    def n_features(self) -> int:
        """How many features a row becomes."""
        return len(self.feature_names)

    def apply(self, frame: "pd.DataFrame | Array") -> npt.NDArray[np.float32]:
        """Return the features ``(rows, features)``; columns are found by name, in any order.

        An array ``(rows, columns)`` has the columns x0, x1, .... NaN and infinity never come out.

        Raises:
            DataError: if a column is missing or not expected, or a number is none or infinite.
        """
        table = as_frame(frame)
        names = [column.name for column in self.columns]
        self._check_names([str(name) for name in table.columns], names)
        table = table.set_axis([str(name) for name in table.columns], axis=1)
        features = np.empty((len(table), self.n_features), dtype=np.float32)
        at = 0
        for column in self.columns:
            block = column.apply(table[column.name])
            features[:, at : at + block.shape[1]] = block
            at += block.shape[1]
        return features

    @staticmethod
    def _check_names(given: Sequence[str], expected: Sequence[str]) -> None:
        found, wanted = set(given), set(expected)
        missing = [name for name in expected if name not in found]
        extra = [name for name in given if name not in wanted]
        if len(found) < len(given):
            raise DataError("data", "a column name stands twice", f"expected: {_names(expected)}")
        if missing or extra:
            what = [f"columns missing: {_names(missing)}"] if missing else []
            what += [f"columns not expected: {_names(extra)}"] if extra else []
            raise DataError("data", ", ".join(what), f"expected: {_names(expected)}")


Preparation: TypeAlias = Annotated[TablePreparation | ImagePreparation, Field(discriminator="kind")]


def fit_preparation(
    raw_x_train: "pd.DataFrame | Array", config: PrepareConfig
) -> TablePreparation | ImagePreparation:
    """Fit on training rows alone: a table, an array ``(rows, features)``, or images.

    Raises:
        DataError: if ``impute`` is set for images, where it would have no effect.
    """
    if isinstance(raw_x_train, pd.DataFrame) or raw_x_train.ndim == 2:
        table = as_frame(raw_x_train)
        return TablePreparation(
            columns=[
                _fit_numbers(table.iloc[:, i], name, config)
                if is_numeric(table.iloc[:, i])
                else _fit_categories(table.iloc[:, i], name)
                for i, name in enumerate(map(str, table.columns))
            ]
        )
    if config.impute != PrepareConfig().impute:
        raise DataError("data.prepare.impute", "images have no missing values", "remove it")
    return fit_images(raw_x_train, config.scale)


def _fit_numbers(column: "pd.Series[Any]", name: str, config: PrepareConfig) -> NumericColumn:
    values = numbers_of(column, where="data")
    given = values[~np.isnan(values)]
    if not len(given):
        return NumericColumn(name=name, fill=0.0, center=0.0, scale=1.0)
    size = float(np.abs(given).max()) or 1.0  # sums of the largest floats must not overflow
    fill = size * _fill(given / size, config.impute)
    fill = min(max(fill, float(given.min())), float(given.max()))  # rounding, at the largest floats
    filled = np.where(np.isnan(values), fill, values) / size
    low, high = float(filled.min()), float(filled.max())
    center, scale = 0.0, 1.0
    if config.scale == "standard":
        center, scale = float(filled.mean()), float(filled.std())
    elif config.scale == "minmax":
        center, scale = low, high - low
    if config.scale == "none":
        return NumericColumn(name=name, fill=fill, center=0.0, scale=1.0)
    if low == high:
        return NumericColumn(name=name, fill=fill, center=fill, scale=1.0)
    scale = min(scale * size, float(np.finfo(np.float64).max))
    return NumericColumn(
        name=name, fill=fill, center=center * size, scale=scale if scale > 0 else 1.0
    )


def _fill(given: Array, how: str) -> float:
    if how == "median":
        return float(np.median(given))
    if how == "most_frequent":
        values, counts = np.unique(given, return_counts=True)
        return float(values[counts.argmax()])
    return float(given.mean())


def _fit_categories(column: "pd.Series[Any]", name: str) -> CategoryColumn:
    texts = texts_of(column)
    present = texts[np.asarray([text is not None for text in texts], dtype=bool)]
    if not len(present):
        return CategoryColumn(name=name, fill="", categories=[])
    categories, counts = np.unique(present, return_counts=True)
    return CategoryColumn(
        name=name,
        fill=str(categories[counts.argmax()]),
        categories=[str(category) for category in categories],
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
