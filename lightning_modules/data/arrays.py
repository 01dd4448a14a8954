"""Arrays, tensors and DataFrames given from Python under a name."""

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from lightning_modules.data.config import ArraysConfig
from lightning_modules.data.fingerprint import fingerprint_data
from lightning_modules.data.frames import Array, Reading, canonical_frame
from lightning_modules.data.kinds import ragged, raw_kind
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError, PluginError
from lightning_modules.registry import NameTakenError, Registry, suggest

Rows: TypeAlias = "pd.DataFrame | pd.Series[Any] | Array | Sequence[Any] | object"
"""A DataFrame, a Series, an array, a list, or a torch tensor."""

GIVEN: Registry[RawData] = Registry("given arrays")


def give_arrays(name: str, x: Rows, y: Rows, *, test: tuple[Rows, Rows] | None = None) -> None:
    """File a copy of the data under ``name``, for ``data: {source: arrays, name: ...}``.

    Args:
        name: what configs call the data.
        x: ``(rows, features)``, sequences ``(rows, steps, channels)``, images ``(rows, channels,
            height, width)``, or ``(rows,)`` texts. Sequences of different lengths are a list of
            arrays ``(steps, channels)``. None for a series without other columns.
        y: labels or numbers, ``(rows,)``; several of a row are ``(rows, targets)``, of a DataFrame
            with the names of its columns.
        test: an official test split, as ``(x, y)``.

    Raises:
        DataError: if the shapes are others, or the rows of x and y differ in number.
        NameTakenError: if other data bears that name: records that name it would lie.
    """
    where = f"arrays {name!r}"
    given = _raw(x, y, where, test=test)
    pairs = [(given.x, given.y), *([given.official_test] if given.official_test else [])]
    for rows, wanted in pairs:
        if len(rows) != len(wanted):
            raise DataError(
                where, f"x has {len(rows)} rows and y has {len(wanted)}", "give both all rows"
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


def rows_of(found: object, where: str) -> RawData:
    """Return rows as the function of a user's own source gave them: `RawData`, or ``(x, y)``.

    Raises:
        DataError: if the shapes are others than `give_arrays` takes.
        PluginError: if it gave something else.
    """
    if isinstance(found, RawData):
        return found
    if not isinstance(found, tuple) or len(found) != 2:
        what = f"its function returned a {type(found).__name__}"
        raise PluginError(where, what, "return (x, y), or hpo.RawData(x=…, y=…, where=…)")
    return _raw(*found, where)


def _raw(x: Rows, y: Rows, where: str, *, test: tuple[Rows, Rows] | None = None) -> RawData:
    targets = _targets(y, where)
    return RawData(
        x=_features(x, where) if x is not None else pd.DataFrame(index=range(len(targets))),
        y=targets,
        where=where,
        target_names=_names_of(y),
        official_test=None
        if test is None
        else (_features(test[0], f"{where} (test)"), _targets(test[1], f"{where} (test)")),
    )


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
        return canonical_frame(x.copy().reset_index(drop=True), Reading(where=where))
    if isinstance(x, list | tuple) and x and all(getattr(row, "ndim", 0) == 2 for row in x):
        rows = [_array(row, where) for row in x]
        return np.stack(rows) if len({row.shape for row in rows}) == 1 else ragged(rows)
    array = _array(x, where)
    if raw_kind(array, where) == "text":
        return array.astype(object)
    return array


def _targets(y: Rows, where: str) -> "pd.Series[Any] | Array":
    if isinstance(y, pd.Series):
        return y.reset_index(drop=True)
    array = _array(y.iloc[:, 0] if isinstance(y, pd.DataFrame) and y.shape[1] == 1 else y, where)
    if array.ndim != 1 and (array.ndim != 2 or array.shape[1] < 2):
        hint = "one value per row: (rows,), or several: (rows, targets)"
        raise DataError(where, f"y has shape {array.shape}", hint)
    return array


def _names_of(y: Rows) -> list[str] | None:
    if isinstance(y, pd.DataFrame) and y.shape[1] > 1:
        return [str(name) for name in y.columns]
    return None
