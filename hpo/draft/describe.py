"""Describe a table: what each column is, and what it becomes for a network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hpo.draft.archives import look_at_archive
from hpo.draft.columns import (
    Column,
    canonical_column,
    default_target,
    goal_of,
    goal_of_several,
    is_free_text,
    many,
    named_targets,
    read_columns,
)
from hpo.errors import DataError
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.dates import with_dates
from lightning_modules.data.fitting import fit_column
from lightning_modules.data.frames import Array, Reading, texts_of
from lightning_modules.data.repeats import equal_rows

N_EXAMPLES = 3
_LONGEST = 24


@dataclass(frozen=True, kw_only=True)
class Described:
    """A column: what it holds, some of its values, what it becomes."""

    column: str
    kind: str
    missing: int
    distinct: int
    examples: list[str]
    becomes: str


@dataclass(frozen=True, kw_only=True)
class Description:
    """A table. ``n_repeats`` counts rows whose used columns an earlier row has."""

    path: str
    form: str
    n_rows: int
    n_repeats: int
    target: str
    columns: list[Described]


def describe_table(path: Path, *, target: str | None = None) -> Description:
    """Look at a CSV or Parquet file, or an archive of NumPy arrays.

    Args:
        path: the file.
        target: the column to predict, or several between commas; by default the one that `hpo
            init` would take.

    Raises:
        DataError: if it is no table, or has no such column.
    """
    where = str(path)
    if path.suffix.lower() == ".npz":
        return _archive(path, where)
    looked = read_columns(path.expanduser(), where=where)
    frame, columns = looked.frame, looked.columns
    if target is None:
        target, _ = default_target(columns, where)
    targets = named_targets(target, list(frame.columns), where)
    used = [one.name for one in columns if one.name not in targets and not one.why]
    repeats = equal_rows(_plain(frame[used])) if used else None
    return Description(
        path=where,
        form="Parquet" if looked.form is None else str(looked.form),
        n_rows=len(frame),
        n_repeats=0 if repeats is None else len(frame) - 1 - int(repeats.max()),
        target=", ".join(targets),
        columns=[
            Described(
                column=one.name,
                kind=one.kind,
                missing=one.missing,
                distinct=one.distinct,
                examples=_examples(frame, one.name),
                becomes=_goal(frame, targets, where) if one.name in targets else _input(frame, one),
            )
            for one in columns
        ],
    )


def _archive(path: Path, where: str) -> Description:
    found = look_at_archive(path)
    y = pd.DataFrame(found.raw.y)
    uses = {
        "x": found.about if found.kind != "table" else f"{found.about}, each an input",
        "y": "target: the steps to come" if found.kind == "series" else _goal(y, [*y], where),
        "lengths": "the real steps of each sequence in x",
        **dict.fromkeys(("x_test", "y_test", "lengths_test"), "the test split"),
    }
    repeats = None if found.kind == "series" else equal_rows(found.raw.x)
    return Description(
        path=where,
        form="NumPy archive",
        n_rows=len(y),
        n_repeats=0 if repeats is None else len(y) - 1 - int(repeats.max()),
        target="y",
        columns=[
            Described(
                column=name,
                kind=_shape(array),
                missing=int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0,
                distinct=len(np.unique(array)),
                examples=_examples(pd.DataFrame({name: array.reshape(-1)[:1000]}), name),
                becomes=uses.get(name, "not read: see data.x and data.y"),
            )
            for name, array in found.arrays.items()
        ],
    )


def _shape(array: Array) -> str:
    """Return type and shape of an array, ``float64 (30, 5, 2)``."""
    dtype = "text" if array.dtype.kind == "U" else str(array.dtype)
    return f"{dtype} ({', '.join(map(str, array.shape))})"


def description_rows(found: Description) -> tuple[list[str], list[list[str]]]:
    """Return the table of `hpo data describe`."""
    headings = ["column", "kind", "missing", "distinct", "examples", "becomes"]
    rows = [
        [
            one.column,
            one.kind,
            str(one.missing),
            str(one.distinct),
            ", ".join(one.examples),
            one.becomes,
        ]
        for one in found.columns
    ]
    return headings, rows


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({name: canonical_column(frame[name]) for name in frame.columns})


def _examples(frame: pd.DataFrame, name: str) -> list[str]:
    first = frame[name].dropna().drop_duplicates().head(N_EXAMPLES)
    texts = [str(text) for text in texts_of(first)]
    return [
        text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        for text in (" ".join(text.split()) for text in texts)
    ]


def _goal(frame: pd.DataFrame, targets: list[str], where: str) -> str:
    try:
        if len(targets) > 1:
            goal = goal_of_several(frame[targets], where)
        else:
            goal = goal_of(frame[targets[0]], targets[0], where)
    except DataError as error:
        return f"no target: {error.what}"
    if goal.kind == "multilabel":
        return "target: a label"
    if not goal.classes:
        return "target: a number to predict"
    return f"target: {many(len(goal.classes), 'class').replace('classs', 'classes')}"


def _input(frame: pd.DataFrame, column: Column) -> str:
    values = frame[column.name]
    if column.why:
        alone = f"; data.text: {column.name} predicts from it alone" if is_free_text(values) else ""
        return f"left out: {column.why}{alone}"
    dates, orders = with_dates(values.to_frame(), Reading(where=column.name))
    order = orders.get(column.name, "ymd")
    plain = canonical_column(dates.iloc[:, 0])
    fitted = fit_column(plain, column.name, PrepareConfig(), order=order)
    if fitted.kind == "date":
        shown = {"ymd": "year first", "dmy": "day first", "mdy": "month first"}[order]
        return f"{', '.join(part.name for part in fitted.parts)} ({shown})"
    n_inputs = len(fitted.feature_names)
    if fitted.kind == "category":
        return f"{many(n_inputs, 'input')}, one per category"
    return "1 input, scaled" + (", missing ones filled" if column.missing else "")
