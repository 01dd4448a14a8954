"""Several targets of each row: numbers, or labels that a row has or has not."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lightning_modules.data.frames import Array, is_numeric, text_of
from lightning_modules.errors import DataError

LEAST_ROWS = 3
"""Rows with a label, and rows without it, that a label needs."""
WORDS = {"0": 0, "1": 1, "no": 0, "yes": 1, "false": 0, "true": 1}
"""How a label may be written, in any case."""
Place = Callable[[int], str]


def several_targets(
    y: "pd.DataFrame | Array", names: Sequence[str], *, task_kind: str, where: str, place: Place
) -> Array:
    """Return several targets as float64, ``(rows, targets)``; of labels 0 and 1.

    Args:
        y: ``(rows, targets)``.
        names: of the targets.
        task_kind: regression or multilabel.
        where: begins the errors.
        place: names a row, counted from 0.

    Raises:
        DataError: if a target is missing, no number, infinite, or no label; it names target, value
            and row; or if the kind of task has one target.
    """
    if task_kind not in ("regression", "multilabel"):
        hint = "set task.kind: multilabel or regression, or name one column"
        raise DataError(where, f"has {len(names)} targets, {task_kind} has one", hint)
    frame = pd.DataFrame(y)
    read = _labels if task_kind == "multilabel" else _numbers
    columns = [read(frame.iloc[:, i], name, where, place) for i, name in enumerate(names)]
    return np.stack(columns, axis=1)


def _numbers(column: "pd.Series[Any]", name: str, where: str, place: Place) -> Array:
    _check_given(column, name, where, place)
    plain = column if is_numeric(column) else column.astype(object)
    values = np.asarray(pd.to_numeric(plain, errors="coerce").astype("float64"))
    wrong = ~np.isfinite(values)
    if wrong.any():
        row = int(wrong.argmax())
        what = (
            f"the target {name!r} is {_shown(column.iloc[row])} in {place(row)}, no finite number"
        )
        raise DataError(where, what, "correct it, or drop the row")
    return values


def _labels(column: "pd.Series[Any]", name: str, where: str, place: Place) -> Array:
    _check_given(column, name, where, place)
    texts = [text_of(value).strip().lower() for value in column]
    wrong = next((row for row, text in enumerate(texts) if text not in WORDS), None)
    if wrong is not None:
        what = f"the label {name!r} is {_shown(column.iloc[wrong])} in {place(wrong)}"
        raise DataError(where, what, "write 0 or 1, no or yes, false or true")
    return np.array([WORDS[text] for text in texts], dtype=np.float64)


def check_labels(y: Array, names: Sequence[str], *, where: str) -> None:
    """Check that rows have, and rows lack, each label: ``y`` is 0 or 1, ``(rows, labels)``.

    Raises:
        DataError: if too few do; it names the label.
    """
    for name, column in zip(names, y.T, strict=True):
        for value, word in ((1, "have"), (0, "lack")):
            n_rows = int((column == value).sum())
            if n_rows < LEAST_ROWS:
                what = f"{n_rows} rows {word} the label {name!r}"
                raise DataError(where, what, f"{LEAST_ROWS} must: add rows, or leave it out")


def _check_given(column: "pd.Series[Any]", name: str, where: str, place: Place) -> None:
    missing = np.asarray(column.isna())
    if missing.any():
        what = f"the target {name!r} is missing in {int(missing.sum())} rows, first in "
        raise DataError(where, what + place(int(missing.argmax())), "drop these rows")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else text_of(value)
