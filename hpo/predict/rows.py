"""New rows of a table, read as training saw each column: for predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpo.errors import DataError
from lightning_modules.data.columns import CategoryColumn, Column, DateColumn, NumericColumn
from lightning_modules.data.config import TableConfig
from lightning_modules.data.dates import moments_of
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array, texts_of
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.texts import TextPreparation
from lightning_modules.settings import Settings

_TRUTH = {"true": "True", "false": "False"}


def check_columns(data: Settings, fitted: Fitted, header: Sequence[str], where: str) -> None:
    """Refuse missing and unknown columns; target and ignored ones may be there.

    Raises:
        DataError: if there are such columns, or no columns can be rows for the model.
    """
    preparation = fitted.preparation
    if isinstance(preparation, TextPreparation):
        _text_column(data, header, where)
    elif isinstance(preparation, SequencePreparation):
        hint = "give .npz with arrays x and lengths, or .npy (rows, steps, channels)"
        raise DataError(where, "is a table, but the model takes sequences", hint)
    elif isinstance(preparation, TablePreparation):
        _check_names(data, [column.name for column in preparation.columns], header, where)
    elif isinstance(preparation, WindowPreparation):
        time = [] if preparation.time is None else [preparation.time]
        others = [column.name for column in preparation.others.columns]
        expected = dict.fromkeys([*time, preparation.target, *others])
        _check_names(data, list(expected), header, where)
    else:
        n_values = int(np.prod(fitted.input_shape))
        if len(header) != n_values:
            shape = tuple(fitted.input_shape)
            hint = f"expected {n_values}: images {shape} laid flat, one column per value"
            raise DataError(where, f"has {len(header)} columns", hint)


def prepared_rows(
    data: Settings, fitted: Fitted, chunk: pd.DataFrame, where: str, done: int
) -> Array:
    """Return rows as the network takes them.

    Args:
        data: the config of training's data.
        fitted: with the model.
        chunk: rows of text, or of a file with types, with columns that `check_columns` took.
        where: the file.
        done: how many rows came before.

    Raises:
        DataError: if a value does not fit its column.
    """
    preparation = fitted.preparation
    if isinstance(preparation, TextPreparation):
        return preparation.apply(texts_of(chunk[_text_column(data, list(chunk.columns), where)]))
    if isinstance(preparation, TablePreparation):
        return preparation.apply(typed_columns(preparation.columns, chunk, where, done))
    if isinstance(preparation, SequencePreparation | WindowPreparation):
        raise TypeError("sequences and series are not read row by row")
    flat = [number_column(chunk[name], str(name), where, done) for name in chunk.columns]
    for name, values in zip(chunk.columns, flat, strict=True):
        if np.isnan(values).any():
            row = done + int(np.isnan(values).argmax()) + 1
            raise DataError(where, f"column {name!r} has no value in row {row}", "complete it")
    return preparation.apply(np.stack(flat, axis=1).reshape(-1, *fitted.input_shape))


def typed_columns(
    columns: Sequence[Column], chunk: pd.DataFrame, where: str, done: int
) -> pd.DataFrame:
    """Return the columns as training saw them; ``done`` rows came before.

    Raises:
        DataError: if a value does not fit its column.
    """
    table: dict[str, Any] = {}
    for column in columns:
        texts = chunk[column.name]
        if isinstance(column, NumericColumn):
            table[column.name] = number_column(texts, column.name, where, done)
        elif isinstance(column, DateColumn):
            table[column.name] = _dates(texts, column, where, done)
        else:
            table[column.name] = pd.Series(texts_of(texts), dtype=object)
        if isinstance(column, CategoryColumn) and set(column.categories) <= {*_TRUTH.values()}:
            table[column.name] = table[column.name].map(_as_truth, na_action="ignore")
    return pd.DataFrame(table, index=range(len(chunk)))


def number_column(column: "pd.Series[Any]", name: str, where: str, done: int) -> Array:
    """Return text ``(rows,)`` as float64, NaN where it is missing; ``done`` rows came before.

    Raises:
        DataError: if a value is no finite number.
    """
    numbers = pd.to_numeric(column.astype(object), errors="coerce").to_numpy("float64")
    wrong = (np.isnan(numbers) & np.asarray(column.notna())) | np.isinf(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        value = column.iloc[at]
        what = f"column {name!r} holds numbers, but row {done + at + 1} has {value!r}"
        raise DataError(where, what, "correct it, or leave it empty where the number is unknown")
    return np.asarray(numbers)


def listed(names: Sequence[str]) -> str:
    """Return names for an error, not too many."""
    shown = ", ".join(map(repr, names[:20]))
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _check_names(
    data: Settings, expected: Sequence[str], header: Sequence[str], where: str
) -> None:
    passed: set[str | None] = set()
    if isinstance(data, TableConfig):
        passed = {*data.targets, data.group, data.time, *data.ignore}
    missing = [name for name in expected if name not in header]
    extra = [name for name in header if name not in {*expected, *passed}]
    if missing or extra:
        what = [f"columns missing: {listed(missing)}"] if missing else []
        what += [f"columns not expected: {listed(extra)}"] if extra else []
        raise DataError(where, ", ".join(what), f"expected: {listed(expected)}")


def _text_column(data: Settings, header: Sequence[str], where: str) -> str:
    """Return the column of texts: that of training, or the only one."""
    name = data.text if isinstance(data, TableConfig) else None
    if name is None and len(header) != 1:
        raise DataError(where, f"has {len(header)} columns", "expected one, of texts")
    if name is not None and name not in header:
        raise DataError(where, f"columns missing: {name!r}", f"expected: {name!r}")
    return name or header[0]


def _as_truth(text: str) -> str:
    """Return a boolean as pandas spells it where it recognised the whole column as booleans."""
    return _TRUTH.get(text.lower(), text)


def _dates(texts: "pd.Series[Any]", column: DateColumn, where: str, done: int) -> "pd.Series[Any]":
    """Return text ``(rows,)`` as moments; ``done`` rows came before."""
    moments = moments_of(texts, column.order)
    wrong = np.asarray(moments.isna()) & np.asarray(texts.notna())
    if wrong.any():
        at = int(wrong.argmax())
        what = f"column {column.name!r} holds dates, but row {done + at + 1} has {texts.iloc[at]!r}"
        raise DataError(where, what, "correct it, or leave it empty where the date is unknown")
    return moments
