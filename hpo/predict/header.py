"""The columns that new rows must have, and which kind of values each of them holds; no torch."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, TypeAlias

import numpy as np

from hpo.errors import DataError
from hpo.predict.predictor import Inputs
from lightning_modules.data.columns import Column
from lightning_modules.data.config import ImageConfig, TableConfig
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.texts import TextPreparation

Kind: TypeAlias = Literal["number", "category", "date", "text"]
FLOATS_HOLD = 2.0**53
"""Whole numbers below are float64 without rounding."""


def check_columns(
    inputs: Inputs, header: Sequence[str], where: str, *, also: Collection[str] = ()
) -> None:
    """Refuse missing and unknown columns; target and ignored ones may be there.

    Args:
        inputs: of the model.
        header: names of the columns.
        where: begins the errors.
        also: other columns that may be there.

    Raises:
        DataError: if there are such columns, or no columns can be rows for the model.
    """
    preparation = inputs.fitted.preparation
    if isinstance(preparation, TextPreparation):
        text_column(inputs, header, where)
    elif isinstance(preparation, SequencePreparation):
        hint = "give .npz with arrays x and lengths, or .npy (rows, steps, channels)"
        raise DataError(where, "is a table, but the model takes sequences", hint)
    elif isinstance(preparation, TablePreparation):
        expected = [column.name for column in preparation.columns]
        _check_names(inputs, expected, header, where, also)
    elif isinstance(preparation, WindowPreparation):
        _check_names(inputs, _of_series(preparation), header, where, also)
    else:
        pixels, n_values = flat_columns(header, also), int(np.prod(inputs.fitted.input_shape))
        if len(pixels) != n_values:
            shape = tuple(inputs.fitted.input_shape)
            hint = f"expected {n_values}: images {shape} laid flat, one column per value"
            if isinstance(inputs.data, ImageConfig):
                hint = f"give a folder of images; of a table {hint}"
            raise DataError(where, f"has {len(pixels)} columns", hint)


def kinds_of(
    inputs: Inputs, header: Sequence[str], where: str, *, also: Collection[str] = ()
) -> Mapping[str, Kind]:
    """Return what the columns hold that are looked at, of those that `check_columns` took.

    Raises:
        DataError: if there is no column of texts.
    """
    preparation = inputs.fitted.preparation
    if isinstance(preparation, TextPreparation):
        return {text_column(inputs, header, where): "text"}
    if isinstance(preparation, TablePreparation):
        return {column.name: _kind(column) for column in preparation.columns}
    if isinstance(preparation, WindowPreparation):
        time: Kind = "number" if preparation.time_order is None else "date"
        found: dict[str, Kind] = {} if preparation.time is None else {preparation.time: time}
        found |= {column.name: _kind(column) for column in preparation.others.columns}
        return {**found, preparation.target: "number"}
    return dict.fromkeys(flat_columns(header, also), "number")


def flat_columns(header: Sequence[str], also: Collection[str] = ()) -> list[str]:
    """Return the columns of an image that is laid flat: all but those copied through."""
    return [name for name in header if name not in also]


def text_column(inputs: Inputs, header: Sequence[str], where: str) -> str:
    """Return the column of texts: that of training, or the only one.

    Raises:
        DataError: if there is none, or it cannot be told which it is.
    """
    name = inputs.data.text if isinstance(inputs.data, TableConfig) else None
    if name is None and len(header) != 1:
        raise DataError(where, f"has {len(header)} columns", "expected one, of texts")
    if name is not None and name not in header:
        meant = _meant([name], header)
        raise DataError(where, f"columns missing: {name!r}", f"{meant}expected: {name!r}")
    return name or header[0]


def listed(names: Sequence[str]) -> str:
    """Return names for an error, not too many."""
    shown = ", ".join(map(repr, names[:20]))
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _kind(column: Column) -> Kind:
    return column.kind


def _of_series(preparation: WindowPreparation) -> list[str]:
    time = [] if preparation.time is None else [preparation.time]
    others = [column.name for column in preparation.others.columns]
    return list(dict.fromkeys([*time, preparation.target, *others]))


def _check_names(
    inputs: Inputs,
    expected: Sequence[str],
    header: Sequence[str],
    where: str,
    also: Collection[str],
) -> None:
    passed: set[str | None] = {*also}
    data = inputs.data
    if isinstance(data, TableConfig):
        passed |= {*data.targets, data.group, data.time, *data.ignore}
    given, known = set(header), {*expected, *passed}
    missing = [name for name in expected if name not in given]
    extra = [name for name in header if name not in known]
    if missing or extra:
        what = [f"columns missing: {listed(missing)}"] if missing else []
        what += [f"columns not expected: {listed(extra)}"] if extra else []
        hint = f"{_meant(missing, extra)}expected: {listed(expected)}"
        raise DataError(where, ", ".join(what), hint)


def _meant(missing: Sequence[str], given: Sequence[str]) -> str:
    """Return which of the given columns may be a missing one, misspelt.

    >>> _meant(["age", "town"], ["Age", "x"])
    "is 'Age' meant to be 'age'? "
    """
    lower = {name.strip().lower(): name for name in given}
    for name in missing[:20]:
        near = get_close_matches(name.strip().lower(), lower, n=1, cutoff=0.75)
        if near:
            return f"is {lower[near[0]]!r} meant to be {name!r}? "
    return ""
