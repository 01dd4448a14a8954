"""Bring a DataFrame to three kinds of column: float64 numbers, text (None: missing), moments."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import infer_dtype, is_bool_dtype, is_numeric_dtype

from lightning_modules.errors import DataError

Array: TypeAlias = npt.NDArray[Any]

_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}
_TEXTS = {"string", "boolean", "categorical", "mixed", "mixed-integer"}


def text_of(value: object) -> str:
    """Return a label or category as text, the same whichever type a reader gave it.

    >>> [text_of(value) for value in (1, 1.0, np.float32(2), 0.5, True, "one")]
    ['1', '1', '2', '0.5', 'True', 'one']
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def texts_of(values: "pd.Series[Any] | Array") -> Array:
    """Return ``(rows,)`` values as objects: text, or None where the value is missing."""
    codes, distinct = pd.factorize(pd.Series(values), use_na_sentinel=True)
    names = np.empty(len(distinct) + 1, dtype=object)
    names[:-1] = [text_of(value) for value in distinct]
    names[-1] = None  # code -1: missing
    return np.asarray(names[codes])


def is_numeric(column: "pd.Series[Any]") -> bool:
    """Say whether a column holds numbers; true-and-false columns are categories."""
    if is_bool_dtype(column.dtype):
        return False
    return is_numeric_dtype(column.dtype) or infer_dtype(column, skipna=True) in _NUMBERS


def is_text(column: "pd.Series[Any]") -> bool:
    """Say whether a column has a text form already: objects, or categories of them, all text."""
    texts = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return texts.dtype == object and infer_dtype(texts, skipna=True) == "string"


def numbers_of(column: "pd.Series[Any]", *, where: str) -> Array:
    """Return a column as float64 ``(rows,)``, NaN where the value is missing.

    Raises:
        DataError: if the column holds dates, or a value is text that is no number: the column,
            the value and its row.
    """
    if column.dtype.kind in "mMc":
        raise DataError(where, f"column {column.name!r} holds {column.dtype}, not numbers")
    plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    numbers = pd.to_numeric(plain, errors="coerce")
    wrong = np.asarray(numbers.isna()) & np.asarray(column.notna())
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            where,
            f"column {column.name!r} holds numbers, but row {row + 1} has {column.iloc[row]!r}",
            "correct it, or leave it empty where the number is unknown",
        )
    return np.asarray(numbers.to_numpy(dtype="float64", na_value=np.nan))


def plain_moments(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of moments in microseconds, the offsets from UTC left out."""
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    return (column.dt.tz_localize(None) if zoned else column).astype("datetime64[us]")


def as_frame(x: "pd.DataFrame | Array") -> pd.DataFrame:
    """Return a table as a DataFrame; those of an array ``(rows, features)`` are x0, x1, ..."""
    if isinstance(x, pd.DataFrame):
        return x
    return pd.DataFrame(x, columns=pd.Index([f"x{i}" for i in range(x.shape[1])]))


def data_row(row: int) -> str:
    """Name a row the way people count: the first row of data is row 1."""
    return f"row {row + 1}"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read the columns of a table, and how to speak of them in errors.

    ``where`` begins the error, such as the file's name; ``categorical`` columns are categories
    whatever they hold; ``leave_out`` says how a column is left out; ``place`` names a 0-based row.
    """

    where: str
    categorical: Collection[str] = ()
    leave_out: str = "leave it out"
    place: Callable[[int], str] = data_row


def canonical_frame(frame: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Return the table with columns of float64, text and moments only, in the same order.

    Columns that are so already are not copied.

    Raises:
        DataError: if there is no column, a name stands twice, a column is empty, is neither
            numbers nor text nor dates, is numbers but for a few texts, or looks like an id or free
            text.
    """
    names = [str(name) for name in frame.columns]
    if not names:
        raise DataError(reading.where, "has no feature columns", "at least one must be left")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(reading.where, f"column {twice!r} stands twice", "rename one of them")
    columns = {}
    for i, name in enumerate(names):
        values = _canonical_column(frame.iloc[:, i], name, reading)
        columns[name] = pd.Series(values, dtype=values.dtype, index=frame.index, copy=False)
    return pd.DataFrame(columns, copy=False)


def _canonical_column(
    column: "pd.Series[Any]", name: str, reading: Reading
) -> "Array | pd.Categorical[Any]":
    if bool(column.isna().all()):
        raise DataError(reading.where, f"column {name!r} has no values", reading.leave_out)
    if name in reading.categorical:
        if isinstance(column.dtype, pd.CategoricalDtype) and is_text(column):
            return cast("pd.Categorical[Any]", column.array)
        return texts_of(column)
    if column.dtype.kind == "M":
        return plain_moments(column).to_numpy()
    if is_numeric(column) and column.dtype.kind != "c":
        return column.to_numpy(dtype="float64", na_value=np.nan)
    if infer_dtype(column, skipna=True) in _TEXTS:
        _check_text(column.astype(object), name, reading)
        return texts_of(column)
    raise DataError(
        reading.where,
        f"column {name!r} is {infer_dtype(column, skipna=True)}, neither numbers nor text",
        f"turn it into one of them, or {reading.leave_out}",
    )


def _check_text(values: "pd.Series[Any]", name: str, reading: Reading) -> None:
    """Refuse text that is numbers but for a few typing errors, ids, and lists in cells."""
    types = values.map(type)
    if bool(types.isin([list, dict, set, np.ndarray]).any()):
        raise DataError(reading.where, f"column {name!r} holds lists", reading.leave_out)
    given = np.asarray(values.notna())
    booleans = np.asarray(types.isin([bool, np.bool_]))
    numbers = np.asarray(pd.to_numeric(values, errors="coerce").notna()) & ~booleans
    if 0.9 * given.sum() < numbers.sum() < given.sum():
        row = int((given & ~numbers).argmax())
        raise DataError(
            reading.where,
            f"column {name!r} holds numbers, but {reading.place(row)} has {values.iloc[row]!r}",
            "correct it, or list the column under data.categorical",
        )
    distinct = values.nunique()
    if distinct > 50 and distinct > len(values) / 2:
        raise DataError(
            reading.where,
            f"column {name!r} looks like an id or free text: {distinct} different texts in "
            f"{len(values)} rows",
            f"{reading.leave_out}, or list it under data.categorical",
        )
