"""New rows with the types of training, from text, typed columns, JSON and arrays; no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpo.errors import DataError
from hpo.predict.header import check_columns, flat_columns, kinds_of, listed, text_column
from hpo.predict.predictor import Inputs, Raw
from hpo.predict.steps import last_window
from hpo.predict.values import number_column, typed_columns
from lightning_modules.data.columns import NumericColumn
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array, texts_of
from lightning_modules.data.kinds import ragged, raw_kind
from lightning_modules.data.sequences import SequencePreparation, check_lengths, steps_of
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.texts import TextPreparation

_JSON_WORDS = {bool: "true or false", str: "text", list: "a list", dict: "an object"}


def typed_frame(inputs: Inputs, frame: pd.DataFrame, where: str, *, done: int = 0) -> Raw:
    """Return rows of a table with the types of training; of a series its last window.

    Args:
        inputs: of the model.
        frame: columns that `check_columns` took, of text or with types.
        where: begins the errors.
        done: how many rows came before, for the errors.

    Raises:
        DataError: if a value does not fit its column: the column and the row.
    """
    preparation, names = inputs.fitted.preparation, list(map(str, frame.columns))
    if isinstance(preparation, TextPreparation):
        return texts_of(frame[text_column(inputs, names, where)])
    if isinstance(preparation, TablePreparation):
        return typed_columns(preparation.columns, frame, where, done)
    if isinstance(preparation, WindowPreparation):
        return last_window(inputs.fitted, frame, where)
    if isinstance(preparation, SequencePreparation):
        raise TypeError("sequences are no table")
    flat = [number_column(frame[name], name, where, done) for name in flat_columns(names)]
    for name, values in zip(names, flat, strict=True):
        if np.isnan(values).any():
            row = done + int(np.isnan(values).argmax()) + 1
            raise DataError(where, f"column {name!r} has no value in row {row}", "complete it")
    return np.stack(flat, axis=1).reshape(-1, *inputs.fitted.input_shape)


def typed_json(inputs: Inputs, columns: Mapping[str, Sequence[Any]], where: str) -> Raw:
    """Return rows that came as JSON, column by column; null is a missing value.

    Categories may be text, numbers or booleans; numbers must be numbers. Of a series the last
    window is returned.

    Args:
        inputs: of the model: of a table, of texts, or of a series.
        columns: the values of each column, of as many rows.
        where: begins the errors.

    Raises:
        DataError: if a column is missing or not expected; a value does not fit its column: the
            column and the row; or there are no rows.
    """
    names = list(columns)
    check_columns(inputs, names, where)
    kinds = kinds_of(inputs, names, where)
    frame = {}
    for name, kind in kinds.items():
        values = columns[name]
        if not len(values):
            raise DataError(where, "has no rows", "at least one row is needed")
        _check_json(values, name, kind == "number", where)
        made = pd.Series(_numbers(values), dtype="float64") if kind == "number" else None
        frame[name] = pd.Series(values, dtype=object) if made is None else made
    return typed_frame(inputs, pd.DataFrame(frame, copy=False), where)


def typed_lists(inputs: Inputs, rows: Sequence[Any], where: str) -> Raw:
    """Return images, sequences or texts that came as JSON, row by row, as nested lists.

    An image may be laid flat; a step of one channel may be a number; null is a missing number.

    Raises:
        DataError: if a row is none such: the row.
    """
    if not len(rows):
        raise DataError(where, "has no rows", "at least one row is needed")
    preparation = inputs.fitted.preparation
    if isinstance(preparation, TextPreparation):
        _check_json(rows, "text", False, where)
        return typed_array(inputs, np.array(rows, dtype=object), where)
    arrays = [_array(row, i, where) for i, row in enumerate(rows)]
    if isinstance(preparation, SequencePreparation):
        one = len(preparation.channels) == 1
        steps = [row[:, None] if one and row.ndim == 1 else row for row in arrays]
        return typed_array(inputs, ragged(steps), where)
    shape = arrays[0].shape
    for i, row in enumerate(arrays):
        if row.shape != shape:
            what = f"row {i + 1} has shape {row.shape}, row 1 {shape}"
            raise DataError(where, what, "all rows must be of one shape")
    return typed_array(inputs, np.stack(arrays), where)


def typed_array(inputs: Inputs, array: Array, where: str, *, done: int = 0) -> Raw:
    """Return rows of an array with the types of training.

    Args:
        inputs: of the model: of images, perhaps laid flat, of sequences, of texts, or of a table
            of numbers alone.
        array: ``(rows, ...)``.
        where: begins the errors.
        done: how many rows came before, for the errors.

    Raises:
        DataError: if the rows do not fit: the row.
    """
    preparation = inputs.fitted.preparation
    if isinstance(preparation, SequencePreparation):
        return _sequences(preparation, array, where, done)
    if isinstance(preparation, TextPreparation):
        if array.ndim != 1 or array.dtype.kind not in "UO":
            raise DataError(where, f"holds {array.dtype} of shape {array.shape}, no texts")
        return array.astype(object)
    if isinstance(preparation, WindowPreparation):
        raise TypeError("a series is a table")
    shape, names = tuple(inputs.fitted.input_shape), []
    if isinstance(preparation, TablePreparation):
        names = _names_of_numbers(preparation, where)
        shape = (len(names),)
    if array.shape[1:] not in (shape, (int(np.prod(shape)),)) or array.dtype.kind not in "biuf":
        what = f"holds {array.dtype} of shape {array.shape}"
        expected = ", ".join(map(str, ("rows", *shape)))
        raise DataError(where, what, f"expected numbers of shape ({expected})")
    rows = np.array(array).reshape(-1, *shape)
    wrong = np.isinf(rows) if names else ~np.isfinite(rows)
    if wrong.any():
        row = done + int(wrong.reshape(len(rows), -1).any(axis=1).argmax()) + 1
        raise DataError(where, f"row {row} has a value that is NaN or infinite", "correct it")
    return pd.DataFrame(rows.astype(np.float64), columns=pd.Index(names)) if names else rows


def _names_of_numbers(preparation: TablePreparation, where: str) -> list[str]:
    """Return the columns of a table of numbers alone."""
    names = [column.name for column in preparation.columns]
    text = [c.name for c in preparation.columns if not isinstance(c, NumericColumn)]
    if text:
        hint = f"give a CSV file with the columns: {listed(names)}"
        raise DataError(where, f"column {text[0]!r} is no number, an array has numbers", hint)
    return names


def _sequences(preparation: SequencePreparation, rows: Array, where: str, done: int) -> Array:
    if raw_kind(rows, where) != "sequence":
        what = f"holds {rows.dtype} of shape {rows.shape}, but the model takes sequence"
        raise DataError(where, what, "give rows such as it was trained on")
    steps = steps_of(rows, where, n_channels=len(preparation.channels), done=done)
    shortest = preparation.difference + (1 if preparation.padded else preparation.length)
    check_lengths(steps.lengths, shortest, where, done=done)
    return rows


def _check_json(values: Sequence[Any], name: str, numbers: bool, where: str) -> None:
    """Refuse lists and objects, and of a column of numbers text and booleans."""
    fitting = {int, float, type(None)} if numbers else {int, float, bool, str, type(None)}
    if set(map(type, values)) <= fitting:
        return
    row, value = next((i, v) for i, v in enumerate(values) if type(v) not in fitting)
    word = _JSON_WORDS.get(type(value), type(value).__name__)
    shown = "" if isinstance(value, list | dict) else f", {value!r}"
    what = f"column {name!r} holds {'numbers' if numbers else 'text'}, but row {row + 1} has {word}"
    raise DataError(where, what + shown, "correct it, or give null where it is unknown")


def _numbers(values: Sequence[Any]) -> Array:
    """Return JSON numbers as float64, infinite where they are too large."""
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        return np.array([_number(value) for value in values])


def _number(value: float | None) -> float:
    try:
        return np.nan if value is None else float(value)
    except OverflowError:
        return np.inf


def _array(row: Any, index: int, where: str) -> Array:
    try:
        return np.array(row, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        what = f"row {index + 1} is no array of numbers"
        raise DataError(where, what, "give nested lists of equal lengths") from None
