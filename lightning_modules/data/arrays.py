"""Arrays, tensors and DataFrames given from Python under a name."""

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lightning_modules.data.config import ArraysConfig
from lightning_modules.data.fingerprint import fingerprint_data
from lightning_modules.data.frames import Array, Reading, canonical_frame
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError
from lightning_modules.registry import NameTakenError, Registry, suggest

Rows: TypeAlias = "pd.DataFrame | pd.Series[Any] | Array | Sequence[Any] | object"
"""A DataFrame, a Series, an array, a list, or a torch tensor."""

GIVEN: Registry[RawData] = Registry("given arrays")


def give_arrays(name: str, x: Rows, y: Rows, *, test: tuple[Rows, Rows] | None = None) -> None:
    """File a copy of the data under ``name``, for ``data: {source: arrays, name: ...}``.

    Args:
        name: what configs call the data.
        x: ``(rows, features)`` or ``(rows, channels, height, width)``.
        y: labels or numbers, ``(rows,)``.
        test: an official test split, as ``(x, y)``.

    Raises:
        DataError: if the shapes are others, or the rows of x and y differ in number.
        NameTakenError: if other data bears that name: records that name it would lie.
    """
    where = f"arrays {name!r}"
    given = RawData(
        x=_features(x, where),
        y=_targets(y, where),
        where=where,
        official_test=None
        if test is None
        else (_features(test[0], f"{where} (test)"), _targets(test[1], f"{where} (test)")),
    )
    pairs = [(given.x, given.y), *([given.official_test] if given.official_test else [])]
    for rows, targets in pairs:
        if len(rows) != len(targets):
            raise DataError(
                where, f"x has {len(rows)} rows and y has {len(targets)}", "give both all rows"
            )
    if name in GIVEN:
        if fingerprint_data(GIVEN[name]) != fingerprint_data(given):
            raise NameTakenError("", f"{where} are other data already", "choose another name")
        return
    GIVEN.register(name)(given)


def load_arrays(config: ArraysConfig) -> RawData:
    """Return what was given under the config's name.

    Raises:
        DataError: if nothing was, or ``data.test`` is set although a test split was given.
    """
    if config.name not in GIVEN:
        known = suggest(config.name, GIVEN) if GIVEN else "in Python: hpo.give_arrays(name, x, y)"
        raise DataError("data.name", f"no arrays {config.name!r} were given", known)
    raw = GIVEN[config.name]
    if raw.official_test is not None and config.test is not None:
        raise DataError(
            raw.where,
            f"a test split was given: data.test {config.test} would have no effect",
            "set data.test: null",
        )
    return raw


def _array(values: Rows, where: str) -> Array:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return np.array(values.detach().cpu().numpy())
    try:
        return np.array(values)
    except ValueError as error:
        raise DataError(where, f"is no array: {error}", "give rows of equal length") from None


def _features(x: Rows, where: str) -> pd.DataFrame | Array:
    if isinstance(x, pd.DataFrame):
        return canonical_frame(x.reset_index(drop=True), Reading(where=where))
    array = _array(x, where)
    if array.ndim == 3:
        raise DataError(
            where,
            f"x has shape {array.shape}, without a channel axis",
            "give x[:, None], of shape (rows, channels, height, width)",
        )
    if array.ndim not in (2, 4):
        raise DataError(
            where,
            f"x has shape {array.shape}",
            "(rows, features) or (rows, channels, height, width)",
        )
    return array


def _targets(y: Rows, where: str) -> "pd.Series[Any] | Array":
    if isinstance(y, pd.Series):
        return y.reset_index(drop=True)
    array = _array(y.iloc[:, 0] if isinstance(y, pd.DataFrame) and y.shape[1] == 1 else y, where)
    if array.ndim != 1:
        raise DataError(where, f"y has shape {array.shape}", "one value per row: (rows,)")
    return array
