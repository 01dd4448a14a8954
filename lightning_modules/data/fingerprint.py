"""Fingerprints (SHA-256) of data, splits and settings, equal in every process."""

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from lightning_modules.data.frames import Array, is_numeric, texts_of
from lightning_modules.data.kinds import raw_kind
from lightning_modules.data.raw import RawData
from lightning_modules.data.split import Split


def fingerprint_data(raw: RawData) -> str:
    """Return the fingerprint of names, types and values; where they were read does not count."""
    digest = hashlib.sha256(b"data 1")
    pairs = [(raw.x, raw.y), *([raw.official_test] if raw.official_test is not None else [])]
    for x, y in pairs:
        if isinstance(x, pd.DataFrame):
            _text(digest, "table")
            for i, name in enumerate(x.columns):
                _text(digest, str(name))
                _column(digest, x.iloc[:, i])
        else:
            _text(digest, "array")
            for part in [x] if x.dtype != object or raw_kind(x, "") == "text" else x:
                _array(digest, part)
        _text(digest, "target")
        for column in [y] if y.ndim == 1 else [one for _, one in pd.DataFrame(y).items()]:
            _column(digest, pd.Series(column))
    return digest.hexdigest()


def fingerprint_split(split: Split) -> str:
    """Return the fingerprint of the row numbers of the three splits."""
    digest = hashlib.sha256(b"split 1")
    for rows in (split.train, split.validation, split.test):
        _array(digest, rows)
    return digest.hexdigest()


def fingerprint_json(value: Any) -> str:
    """Return the fingerprint of a JSON value; the order of keys does not count.

    Raises:
        ValueError: if the value has a NaN or an infinity: JSON has no word for them.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _text(digest: "hashlib._Hash", text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    digest.update(len(data).to_bytes(8, "little") + data)


def _array(digest: "hashlib._Hash", array: Array) -> None:
    if array.dtype.kind not in "biuf":
        _text(digest, f"text {array.shape}")
        _texts(digest, pd.Series(array.reshape(-1)))
        return
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    _text(digest, f"{little.dtype.str} {little.shape}")
    digest.update(little.reshape(-1).view(np.uint8).data)


def _column(digest: "hashlib._Hash", column: "pd.Series[Any]") -> None:
    """Add numbers as float64, whatever their width; everything else as text."""
    if not is_numeric(column):
        _text(digest, f"text {len(column)}")
        _texts(digest, column)
        return
    numbers = column.to_numpy(dtype="float64", na_value=np.nan) + 0.0  # -0.0 becomes 0.0
    _array(digest, np.where(np.isnan(numbers), np.nan, numbers))  # one NaN among its many forms


def _texts(digest: "hashlib._Hash", column: "pd.Series[Any]") -> None:
    codes, distinct = pd.factorize(texts_of(column), use_na_sentinel=True)
    _text(digest, f"{len(distinct)} distinct")
    for value in distinct:
        _text(digest, str(value))
    _array(digest, codes.astype(np.int64))
