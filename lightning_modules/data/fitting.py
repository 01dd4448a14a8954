"""Fit the columns of a table on training rows alone."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from lightning_modules.data.columns import (
    CategoryColumn,
    Column,
    Curve,
    DateColumn,
    NumericColumn,
    date_parts,
)
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.dates import Order
from lightning_modules.data.frames import Array, is_numeric, numbers_of, texts_of

KNOTS = 201
"""Places at which a distribution is kept for ``scale: quantile``."""


def fit_column(
    column: "pd.Series[Any]", name: str, config: PrepareConfig, *, order: Order = "ymd"
) -> Column:
    """Return the column ``(rows,)`` of numbers, text or moments as fitted; ``order`` of dates."""
    if column.dtype.kind == "M":
        return _fit_dates(column, name, config, order)
    if is_numeric(column):
        return fit_numbers(numbers_of(column, where="data"), name, config)
    return _fit_categories(column, name, config)


def _fit_dates(
    column: "pd.Series[Any]", name: str, config: PrepareConfig, order: Order
) -> DateColumn:
    plain = config.model_copy(update={"indicator": False})
    parts = {
        part: values
        for part, values in date_parts(column).items()
        if part == "days" or len(np.unique(values[~np.isnan(values)])) > 1
    }
    return DateColumn(
        name=name,
        order=order,
        parts=[fit_numbers(values, part, plain) for part, values in parts.items()],
        indicator=config.indicator and bool(column.isna().any()),
    )


def fit_numbers(values: Array, name: str, config: PrepareConfig) -> NumericColumn:
    """Return a column of numbers ``(rows,)`` as fitted; NaN where one is missing."""
    indicator = config.indicator and bool(np.isnan(values).any())
    if bool(np.isnan(values).all()):
        return NumericColumn(name=name, fill=0.0, center=0.0, scale=1.0, indicator=indicator)
    clip = None
    if config.clip is not None:
        ends = np.nanquantile(values, [config.clip, 1 - config.clip], method="inverted_cdf")
        clip, values = ends.tolist(), values.clip(*ends)
    given = values[~np.isnan(values)]
    size = float(np.abs(given).max()) or 1.0  # sums of the largest floats must not overflow
    fill = size * _fill(given / size, config.impute)
    fill = min(max(fill, float(given.min())), float(given.max()))  # rounding, at the largest floats
    filled = np.where(np.isnan(values), fill, values) / size
    fitted = NumericColumn(
        name=name, fill=fill, center=0.0, scale=1.0, clip=clip, indicator=indicator
    )
    if config.scale == "none":
        return fitted
    if filled.min() == filled.max():
        return fitted.model_copy(update={"center": fill})
    if config.scale == "quantile":
        return fitted.model_copy(update={"curve": _places(filled * size)})
    center, scale = _center_and_scale(filled, config.scale)
    scale = min(scale * size, float(np.finfo(np.float64).max))
    return fitted.model_copy(update={"center": center * size, "scale": scale if scale > 0 else 1.0})


def _center_and_scale(filled: Array, how: str) -> tuple[float, float]:
    low, high = float(filled.min()), float(filled.max())
    if how == "minmax":
        return low, high - low
    if how == "robust":
        first, middle, third = np.quantile(filled, [0.25, 0.5, 0.75])
        return float(middle), float(third - first) or float(filled.std())
    return float(filled.mean()), float(filled.std())


def _places(values: Array) -> Curve:
    """Return the curve from values to their places in a normal distribution.

    Equal values share the mean of their places; the ends are half a row from 0 and 1.
    """
    n = min(KNOTS, len(values))
    shares = np.clip(np.linspace(0, 1, n), 0.5 / len(values), 1 - 0.5 / len(values))
    found = np.quantile(values, np.linspace(0, 1, n), method="inverted_cdf")
    levels = np.array([NormalDist().inv_cdf(float(share)) for share in shares])
    knots, of = np.unique(found, return_inverse=True)
    means = np.bincount(of, weights=levels) / np.bincount(of)
    return Curve(knots=knots.tolist(), levels=means.tolist())


def _fill(given: Array, how: str) -> float:
    if how == "median":
        return float(np.median(given))
    if how == "most_frequent":
        values, counts = np.unique(given, return_counts=True)
        return float(values[counts.argmax()])
    return float(given.mean())


def _fit_categories(column: "pd.Series[Any]", name: str, config: PrepareConfig) -> CategoryColumn:
    texts = texts_of(column)
    given = np.asarray([text is not None for text in texts], dtype=bool)
    indicator = config.indicator and not bool(given.all())
    if not given.any():
        return CategoryColumn(name=name, fill="", categories=[], indicator=indicator)
    categories, counts = np.unique(texts[given], return_counts=True)
    least = 0.0 if config.rare is None else config.rare
    kept = counts >= (least if least >= 1 else least * len(texts))
    return CategoryColumn(
        name=name,
        fill=str(categories[counts.argmax()]),
        categories=[str(category) for category in categories[kept]],
        other=not bool(kept.all()),
        indicator=indicator,
    )
