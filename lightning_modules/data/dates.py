"""Dates in text: which order their parts stand in, and the moments that they name."""

import re
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from lightning_modules.data.frames import Reading, plain_moments
from lightning_modules.errors import DataError

Order: TypeAlias = Literal["ymd", "dmy", "mdy"]
"""The order of day, month and year; the last two differ in nothing that a single date shows."""

_TIME = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?"
    r"\s*(?:Z|[+-]\d{2}:?\d{2})?)?\s*"
)
_YEAR_FIRST = re.compile(
    r"\s*(?P<y>\d{4})(?P<mark>[-/.])(?P<a>\d{1,2})(?P=mark)(?P<b>\d{1,2})" + _TIME
)
_YEAR_LAST = re.compile(
    r"\s*(?P<a>\d{1,2})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<y>\d{4})" + _TIME
)
_MOST_WRONG = 0.1
"""The share of texts that are no dates among dates, which are then mistakes."""


def with_dates(frame: pd.DataFrame, reading: Reading) -> tuple[pd.DataFrame, dict[str, Order]]:
    """Return the table with its columns of dates as moments, and the order of each one's parts.

    Columns that are to be categories stay as they are.

    Raises:
        DataError: if a column holds dates but for a few texts, or dates that can be read as
            day/month and as month/day.
    """
    orders: dict[str, Order] = {}
    read = frame.copy(deep=False)
    for i, name in enumerate(map(str, frame.columns)):
        column = frame.iloc[:, i]
        if name in reading.categorical:
            continue
        if column.dtype.kind == "M":
            orders[name] = "ymd"
            continue
        order = _order_of(column, name, reading)
        if order is not None:
            orders[name] = order
            read.isetitem(i, moments_of(column, order).to_numpy())
    return read, orders


def moments_of(column: "pd.Series[Any]", order: Order) -> "pd.Series[Any]":
    """Return the moment that each text names, missing where it names none; offsets are left out.

    >>> moments_of(pd.Series(["31.12.2024 23:30", "no"]), "dmy").tolist()
    [Timestamp('2024-12-31 23:30:00'), NaT]
    """
    if column.dtype.kind == "M":
        return plain_moments(column)
    codes, distinct = pd.factorize(column.astype(object), use_na_sentinel=True)
    moments = np.array([_moment(text, order) for text in distinct] + [None], "datetime64[us]")
    return pd.Series(moments[codes], index=column.index, name=column.name)


def looks_like_dates(texts: Iterable[str]) -> bool:
    """Say whether nearly all texts are dates."""
    found = [bool(_YEAR_FIRST.fullmatch(one) or _YEAR_LAST.fullmatch(one)) for one in texts]
    return sum(found) > (1 - _MOST_WRONG) * len(found) and bool(found)


def _order_of(column: "pd.Series[Any]", name: str, reading: Reading) -> Order | None:
    """Return the order of a column of dates, None where the column holds something else."""
    given = column.dropna().astype(object)
    if infer_dtype(given, skipna=True) != "string":
        return None
    texts = pd.unique(given)
    if not looks_like_dates(texts):
        return None
    first = [one for one in map(_YEAR_FIRST.fullmatch, texts) if one]
    last = [one for one in map(_YEAR_LAST.fullmatch, texts) if one]
    order: Order = "ymd"
    if len(last) > len(first):
        day_first = any(int(one["a"]) > 12 for one in last)
        month_first = any(int(one["b"]) > 12 for one in last)
        if not day_first and not month_first:
            what = f"column {name!r} holds dates such as {texts[0]!r}: which is the month?"
            hint = "write them as 2024-12-31, or list the column under data.categorical"
            raise DataError(reading.where, what, hint)
        order = "dmy" if day_first else "mdy"
    wrong = np.asarray(moments_of(column, order).isna()) & np.asarray(column.notna())
    if wrong.any():
        row = int(wrong.argmax())
        what = f"column {name!r} holds dates, but {reading.place(row)} has {column.iloc[row]!r}"
        hint = "correct it, or list the column under data.categorical"
        raise DataError(reading.where, what, hint)
    return order


def _moment(text: object, order: Order) -> np.datetime64 | None:
    pattern = _YEAR_FIRST if order == "ymd" else _YEAR_LAST
    found = pattern.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    a, b = int(found["a"]), int(found["b"])
    month, day = (b, a) if order == "dmy" else (a, b)
    time = f"{int(found['hour'] or 0):02}:{found['minute'] or '00'}:{found['second'] or '00'}"
    try:
        return np.datetime64(f"{found['y']}-{month:02}-{day:02}T{time}", "us")
    except ValueError:  # the 31st of June
        return None
