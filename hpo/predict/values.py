"""Values of columns with the types of training: numbers, text, moments; no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpo.errors import DataError
from lightning_modules.data.columns import CategoryColumn, Column, DateColumn, NumericColumn
from lightning_modules.data.dates import moments_of
from lightning_modules.data.frames import Array, texts_of

_TRUTH = {"true": "True", "false": "False"}


def typed_columns(
    columns: Sequence[Column], frame: pd.DataFrame, where: str, done: int
) -> pd.DataFrame:
    """Return columns of text, or with types, as training saw them; ``done`` rows came before.

    Raises:
        DataError: if a value does not fit its column.
    """
    table: dict[str, Any] = {}
    for column in columns:
        values = frame[column.name]
        if isinstance(column, NumericColumn):
            table[column.name] = number_column(values, column.name, where, done)
        elif isinstance(column, DateColumn):
            table[column.name] = _dates(values, column, where, done)
        else:
            table[column.name] = _categories(values, column)
    return pd.DataFrame(table, index=pd.RangeIndex(len(frame)), copy=False)


def number_column(column: "pd.Series[Any]", name: str, where: str, done: int) -> Array:
    """Return a column as float64 ``(rows,)``, NaN where it is missing; ``done`` rows came before.

    Raises:
        DataError: if a value is no finite number.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        numbers = column.to_numpy("float64")
        wrong = np.isinf(numbers)
    else:
        plain = column.astype(object)
        numbers = pd.to_numeric(plain, errors="coerce").to_numpy("float64")
        wrong = (np.isnan(numbers) & np.asarray(column.notna())) | np.isinf(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        value = column.iloc[at]
        value = value.item() if isinstance(value, np.generic) else value
        what = f"column {name!r} holds numbers, but row {done + at + 1} has {value!r}"
        raise DataError(where, what, "correct it, or leave it empty where the number is unknown")
    return np.asarray(numbers)


def _categories(values: "pd.Series[Any]", column: CategoryColumn) -> "pd.Series[Any]":
    texts = texts_of(values)
    if set(column.categories) <= {*_TRUTH.values()}:
        codes, distinct = pd.factorize(texts, use_na_sentinel=True)
        texts = np.array([*map(_as_truth, distinct), None], dtype=object)[codes]
    return pd.Series(texts, dtype=object)


def _as_truth(text: str) -> str:
    """Return a boolean as pandas spells it where it recognised the whole column as booleans."""
    return _TRUTH.get(text.lower(), text)


def _dates(values: "pd.Series[Any]", column: DateColumn, where: str, done: int) -> Array:
    """Return text ``(rows,)`` as moments; ``done`` rows came before."""
    moments = moments_of(values, column.order)
    wrong = np.asarray(moments.isna()) & np.asarray(values.notna())
    if wrong.any():
        at = int(wrong.argmax())
        row, value = done + at + 1, values.iloc[at]
        what = f"column {column.name!r} holds dates, but row {row} has {value!r}"
        raise DataError(where, what, "correct it, or leave it empty where the date is unknown")
    return moments.to_numpy()
