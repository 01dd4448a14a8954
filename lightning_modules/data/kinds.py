"""Which kind of data raw rows are, and rows that are equal."""

import hashlib
from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_modules.data.frames import Array
from lightning_modules.errors import DataError

RawKind: TypeAlias = Literal["table", "image", "sequence", "text"]

SHAPES = (
    "(rows, features), sequences (rows, steps, channels), (rows, channels, height, width), or texts"
)
"""What rows may be, in words."""


def raw_kind(x: "pd.DataFrame | Array", where: str) -> RawKind:
    """Return what raw rows are.

    A table is a DataFrame or ``(rows, features)``. Images are ``(rows, channels, height, width)``.
    Sequences are ``(rows, steps, channels)``, or ``(rows,)`` of arrays ``(steps, channels)`` where
    they differ in length. Texts are ``(rows,)``, None where one is missing.

    Raises:
        DataError: if they are none of these.
    """
    if isinstance(x, pd.DataFrame) or x.ndim == 2:
        return "table"
    if x.ndim == 4:
        return "image"
    if x.ndim == 3:
        return "sequence"
    if x.ndim == 1 and x.dtype.kind in "UO" and len(x):
        if all(isinstance(row, np.ndarray) for row in x):
            return "sequence"
        if all(map(_is_text, x)):
            return "text"
    raise DataError(where, f"x has shape {x.shape}", SHAPES)


def _is_text(row: object) -> bool:
    return row is None or isinstance(row, str) or (isinstance(row, float) and np.isnan(row))


def ragged(rows: Iterable[Array]) -> Array:
    """Return arrays ``(steps, channels)`` of any lengths as ``(rows,)`` objects."""
    listed = list(rows)
    together = np.empty(len(listed), dtype=object)
    for i, row in enumerate(listed):
        together[i] = row
    return together


def marks_of(x: Array) -> npt.NDArray[np.object_]:
    """Return a mark for each row of an array, ``(rows,)``, the same for equal rows.

    >>> marks_of(np.array(["a", "b", "a"], dtype=object)).tolist()
    ['a', 'b', 'a']
    """
    if x.ndim == 1 and raw_kind(x, "data") == "text":
        return np.array(["" if not isinstance(row, str) else row for row in x], dtype=object)
    rows = x if x.dtype == object else np.ascontiguousarray(x).reshape(len(x), -1)
    return np.array([_mark(row) for row in rows], dtype=object)


def _mark(row: Array) -> str:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).hexdigest()
