"""An array in NumPy's own format: a short head, then the numbers as they are in memory."""

import io
import warnings
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from hpo.serve.refusal import Refused
from lightning_modules.data.frames import Array

_LONGEST_HEAD = 4096
_MOST_AXES = 8
_WIDEST = 8
"""Bytes of a number; those of more are not the same on every machine."""
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What the beginning of a file says of the numbers behind it."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: "np.dtype[Any]"


def array_in(body: bytes, *, most_rows: int) -> Array:
    """Return the array of a ``.npy`` file; numbers are not copied.

    Args:
        body: the file.
        most_rows: along the first axis.

    Raises:
        Refused: if it is no such file, holds no numbers, or another number of them than it says.
    """
    start = _head_size(body)
    try:
        head = _head_of(body[:start])
    except Exception:  # noqa: BLE001  (NumPy reads it as Python, which fails in many ways)
        hint = "numpy.save writes them"
        raise Refused(400, "values", where="body", what="is no .npy file", hint=hint) from None
    shape, dtype = head.shape, head.dtype
    if dtype.kind not in "biuf" or dtype.itemsize > _WIDEST or dtype.hasobject:
        what, hint = f"holds {dtype}", "numbers are taken"
        raise Refused(422, "values", where="body", what=what, hint=hint)
    if not shape or min(shape) < 1:
        hint = "at least one row is needed"
        raise Refused(422, "rows", where="body", what="has no rows", hint=hint)
    if shape[0] > most_rows:
        what, hint = f"holds {shape[0]:,} rows", f"at most {most_rows:,} in one request"
        raise Refused(413, "rows", where="body", what=what, hint=hint)
    n_values = prod(shape)
    if n_values * dtype.itemsize != len(body) - start:
        what = f"says {n_values:,} values of {dtype}, and has {len(body) - start:,} bytes"
        raise Refused(422, "values", where="body", what=what, hint="send the whole file")
    values = np.frombuffer(body, dtype=dtype, offset=start)
    return values.reshape(shape, order="F" if head.is_fortran else "C")


def _head_size(body: bytes) -> int:
    """Return how many bytes the head has, and no more than are read of one."""
    at, n_digits = 8, 2 if body[6:7] == b"\x01" else 4
    length = int.from_bytes(body[at : at + n_digits], "little")
    return at + n_digits + min(length, _LONGEST_HEAD)


@lru_cache(maxsize=64)
def _head_of(head: bytes) -> _Head:
    """Return what a head says; callers send few different ones, and to read one takes a while.

    Raises:
        Exception: of many kinds, if it is none.
    """
    stream = io.BytesIO(head)
    read = _READERS[np.lib.format.read_magic(stream)]
    with warnings.catch_warnings(action="ignore"):  # of files that Python 2 wrote
        shape, is_fortran, dtype = read(stream, max_header_size=_LONGEST_HEAD)
    if len(shape) > _MOST_AXES or any(type(size) is not int for size in shape):
        raise ValueError("no array of rows has such a shape")
    return _Head(shape=shape, is_fortran=is_fortran, dtype=dtype)
