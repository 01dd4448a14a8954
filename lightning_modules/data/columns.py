"""The columns of a table as features: what is fitted for each on training rows, and applied."""

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from lightning_modules.data.dates import Order, moments_of
from lightning_modules.data.frames import Array, numbers_of, texts_of
from lightning_modules.data.rounding import to_float32
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings

Floats: TypeAlias = npt.NDArray[np.float32]


def _is_off(value: object) -> bool:
    """Say whether something is not used, which the record then leaves out."""
    return value is None or value is False


class Curve(Settings):
    """A rising function in straight pieces from ``knots`` to ``levels``, level beyond its ends."""

    knots: list[float]
    levels: list[float]

    def apply(self, values: Array) -> Array:
        """Return the level of each value, ``(rows,)``."""
        return np.interp(values, self.knots, self.levels)


class NumericColumn(Settings):
    """A column of numbers: missing ones become ``fill``, then ``(value - center) / scale``.

    Before that, numbers outside ``clip`` become its nearer end, and ``curve`` is applied. With
    ``indicator`` there is a second feature, 1 where the number is missing.
    """

    kind: Literal["number"] = "number"
    name: str
    fill: float
    center: float
    scale: float
    clip: list[float] | None = Field(None, exclude_if=_is_off)
    curve: Curve | None = Field(None, exclude_if=_is_off)
    indicator: bool = Field(False, exclude_if=_is_off)

    @property
    def feature_names(self) -> list[str]:
        """The column's own name, and that of its indicator."""
        return [self.name, *_indicator_name(self)]

    def apply(self, column: "pd.Series[Any]") -> Floats:
        """Return the column as ``(rows, 1)``, or ``(rows, 2)`` with its indicator.

        Raises:
            DataError: if a value is text or infinite: the column, the value and its row.
        """
        values = numbers_of(column, where="data")
        infinite = np.isinf(values)
        if infinite.any():
            row = int(infinite.argmax()) + 1
            raise DataError("data", f"column {self.name!r} has an infinite number in row {row}")
        missing = np.isnan(values)
        values = np.where(missing, self.fill, values)
        if self.clip is not None:
            values = values.clip(self.clip[0], self.clip[1])
        if self.curve is not None:
            values = self.curve.apply(values)
        with np.errstate(over="ignore"):
            scaled = to_float32((values - self.center) / self.scale)[:, None]
        return _with_indicator(self, scaled, missing)


class CategoryColumn(Settings):
    """A column of text: missing becomes ``fill``, then one feature per category.

    A category that training never saw is all zeros; with ``other`` there is a feature for it, and
    for those that were rare. With ``indicator`` the last feature is 1 where the text is missing.
    """

    kind: Literal["category"] = "category"
    name: str
    fill: str
    categories: list[str]
    other: bool = Field(False, exclude_if=_is_off)
    indicator: bool = Field(False, exclude_if=_is_off)

    @property
    def feature_names(self) -> list[str]:
        """One name per category, ``colour=red``, then those of other and of the indicator."""
        names = [f"{self.name}={category}" for category in self.categories]
        return [*names, *([f"{self.name}: other"] if self.other else []), *_indicator_name(self)]

    def apply(self, column: "pd.Series[Any]") -> Floats:
        """Return the column one-hot, ``(rows, features)``."""
        texts = pd.Series(texts_of(column), dtype=object)
        codes = pd.Index(self.categories, dtype=object).get_indexer(
            pd.Index(texts.where(texts.notna(), self.fill), dtype=object)
        )
        if self.other:
            codes = np.where(codes < 0, len(self.categories), codes)
        features = np.zeros((len(codes), len(self.categories) + self.other), dtype=np.float32)
        known = np.flatnonzero(codes >= 0)
        features[known, codes[known]] = 1.0
        return _with_indicator(self, features, np.asarray(texts.isna()))


class DateColumn(Settings):
    """A column of dates: its parts that vary, each as a column of numbers.

    The parts are year, month, day, weekday (Monday is 0), hour, and days since 1970.
    """

    kind: Literal["date"] = "date"
    name: str
    order: Order
    parts: list[NumericColumn]
    indicator: bool = Field(False, exclude_if=_is_off)

    @property
    def feature_names(self) -> list[str]:
        """One name per part, ``born: year``, and that of the indicator."""
        names = [f"{self.name}: {part.name}" for part in self.parts]
        return [*names, *_indicator_name(self)]

    def apply(self, column: "pd.Series[Any]") -> Floats:
        """Return the parts, ``(rows, features)``.

        Raises:
            DataError: if a value is no date: the column, the value and its row.
        """
        moments = moments_of(column, self.order)
        missing = np.asarray(moments.isna())
        wrong = missing & np.asarray(column.notna())
        if wrong.any():
            row = int(wrong.argmax())
            what = f"column {self.name!r} holds dates, but row {row + 1} has {column.iloc[row]!r}"
            raise DataError("data", what, "correct it, or leave it empty where it is unknown")
        values = date_parts(moments)
        blocks = [part.apply(pd.Series(values[part.name])) for part in self.parts]
        empty = np.empty((len(column), 0), dtype=np.float32)
        return _with_indicator(self, np.concatenate([empty, *blocks], axis=1), missing)


Column: TypeAlias = Annotated[
    NumericColumn | CategoryColumn | DateColumn, Field(discriminator="kind")
]


def date_parts(moments: "pd.Series[Any]") -> dict[str, Array]:
    """Return the parts of moments by name, each float64 ``(rows,)``, NaN where missing."""
    days = (moments - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1)
    found = {
        "year": moments.dt.year,
        "month": moments.dt.month,
        "day": moments.dt.day,
        "weekday": moments.dt.day_of_week,
        "hour": moments.dt.hour,
        "days": days,
    }
    return {name: part.to_numpy(dtype="float64", na_value=np.nan) for name, part in found.items()}


def _indicator_name(column: NumericColumn | CategoryColumn | DateColumn) -> list[str]:
    return [f"{column.name}: missing"] if column.indicator else []


def _with_indicator(
    column: NumericColumn | CategoryColumn | DateColumn, features: Floats, missing: Array
) -> Floats:
    if not column.indicator:
        return features
    return np.concatenate([features, missing[:, None].astype(np.float32)], axis=1)
