"""Recognise the columns of a table: kinds, ids and free text, which is predicted, and how."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo.errors import DataError
from lightning_modules.data.csv_check import checked_header, first_line
from lightning_modules.data.csv_form import CsvForm, recognise_form
from lightning_modules.data.dates import looks_like_dates, with_dates
from lightning_modules.data.frames import (
    Array,
    Reading,
    canonical_frame,
    data_row,
    is_numeric,
    texts_of,
)
from lightning_modules.data.parquet import read_parquet
from lightning_modules.data.raw import LEAST_ROWS
from lightning_modules.data.several import WORDS, check_labels, several_targets
from lightning_modules.data.tables import read_table
from lightning_modules.data.target import natural_order
from lightning_modules.registry import suggest

TARGETS = ("target", "label", "class", "y", "outcome")
"""Names of a column that is predicted unless another one is named, in any case."""

LEAST_TABLE_ROWS = 6
MOST_CATEGORIES = 300
MOST_NUMBER_CLASSES = 20
_ID = re.compile(r"(.*[^A-Za-z])?(?i:id|uuid|guid|index|idx|row|nr|no|number)|.*[a-z](Id|ID)")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as it was recognised; ``why`` says why it is left out, empty if it is not."""

    name: str
    kind: str
    missing: int
    distinct: int
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A table as it was read, its columns as recognised, and a CSV file's form."""

    frame: pd.DataFrame
    columns: list[Column]
    form: CsvForm | None


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is predicted: kind, rows per class or label (empty for numbers), and a remark."""

    kind: str
    n_rows: int
    classes: Mapping[str, int]
    about: str = ""


def check_first_line(path: Path, *, where: str, form: CsvForm) -> None:
    """Look whether the first line of a CSV file holds names.

    Raises:
        DataError: if it holds numbers. Numbers that count up, as pandas names columns, are names.
    """
    check_names(first_line(path, where=where, form=form), where=where)


def check_names(header: list[str], *, where: str) -> None:
    """Refuse a header of numbers; see `check_first_line`.

    Raises:
        DataError: if it is one.
    """
    if _is_data(header):
        hint = "write a line with the names of the columns above it"
        raise DataError(where, "has no header: its first line holds numbers", hint)


def _is_data(header: list[str]) -> bool:
    numbers = pd.to_numeric(pd.Series(header, dtype=object), errors="coerce").astype(float)
    found = numbers[np.isfinite(numbers)]
    rising = len(found) > 1 and bool((found.diff().dropna() > 0).all())
    some_whole = len(found) < len(header) and bool((found % 1 == 0).all())
    return len(found) > 0 and not (rising or some_whole)


def recognise(column: "pd.Series[Any]", name: str) -> Column:
    """Return what a column is, and whether it can be used as it is."""
    given = column.dropna()
    distinct, numeric = int(given.nunique()), is_numeric(column)
    kind = "number" if numeric else "category"
    moments = column.dtype.kind == "M"
    if not len(given):
        kind, why = "empty", "has no values"
    elif name.startswith("Unnamed: "):
        why = "has no name: a row number?"
    elif distinct == 1:
        why = f"has the same value in every row: {texts_of(given)[0]!r}"
    elif moments:
        kind, why = "date", ""
    elif numeric:
        why = _why_no_number(given.astype(float), name, rows=len(column))
    else:
        kind, why = _kind_of_text(given, distinct)
    if not why:
        try:
            canonical_column(column)
        except DataError as error:
            why = " ".join(error.what.removeprefix(f"column {name!r} ").split())
    return Column(
        name=name, kind=kind, missing=len(column) - len(given), distinct=distinct, why=why
    )


def canonical_column(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column as it is prepared: numbers, text, or moments.

    Raises:
        DataError: if it cannot be used as it is.
    """
    reading = Reading(where=str(column.name))
    return canonical_frame(with_dates(column.to_frame(), reading)[0], reading).iloc[:, 0]


def read_columns(path: Path, *, where: str) -> Looked:
    """Return the table in a CSV or Parquet file, and what each of its columns is.

    Raises:
        DataError: if it is no table, or its first line holds no names.
    """
    form = None
    if path.suffix.lower() in (".parquet", ".pq"):
        frame = read_parquet(path, where=where)
    else:
        form = recognise_form(path, where=where)
        check_first_line(path, where=where, form=form)
        header = checked_header(path, where=where, form=form)
        frame = read_table(path, header=header, text_columns=(), where=where, form=form)
    columns = [recognise(frame[name], name) for name in frame.columns]
    return Looked(frame=frame, form=form, columns=columns)


def _why_no_number(given: "pd.Series[float]", name: str, *, rows: int) -> str:
    if not np.isfinite(given).all():
        return "has an infinite number"
    unique_whole = len(given) == rows >= 10 and given.is_unique and bool((given % 1 == 0).all())
    if unique_whole and (bool((given.diff().dropna() == 1).all()) or _ID.fullmatch(name)):
        return f"looks like an id: {rows} different whole numbers in {rows} rows"
    return ""


def _kind_of_text(given: "pd.Series[Any]", distinct: int) -> tuple[str, str]:
    texts = pd.Series(texts_of(given), dtype=object)
    if set(texts) <= {"True", "False"}:
        return "boolean", ""
    if looks_like_dates(texts.unique()):
        return "date", ""
    if distinct == len(given) >= 10:
        return "text", f"looks like an id or free text: {distinct} different texts"
    if distinct > MOST_CATEGORIES:
        return "category", f"has {distinct} different texts: each would be one more input"
    return "category", ""


def is_free_text(column: "pd.Series[Any]") -> bool:
    """Say whether a column holds sentences: three words a row on average, or Chinese and such.

    >>> is_free_text(pd.Series(["a nice day it was", "no"])), is_free_text(pd.Series(["a1", "b2"]))
    (True, False)
    """
    texts = [value for value in column if isinstance(value, str)]
    if len(texts) < 0.5 * len(column):
        return False
    n_words = sum(len(text.split()) for text in texts) / len(texts)
    unspaced = sum(character >= "\u2e80" for text in texts for character in text) / len(texts)
    return n_words >= 3 or unspaced >= 6


def default_target(columns: Sequence[Column], where: str) -> tuple[str, str]:
    """Return the column to predict, and a remark that says why this one.

    Raises:
        DataError: if no column can be predicted.
    """
    for wanted in TARGETS:
        for column in columns:
            if column.name.strip().lower() == wanted:
                return column.name, "(by its name; --target names another)"
    able = [column.name for column in columns if not column.why and column.kind != "date"]
    if not able:
        whys = "; ".join(f"{column.name!r} {column.why}" for column in columns[:5])
        raise DataError(where, f"has no column that can be predicted ({whys})", "add one")
    place = "the last column" if able[-1] == columns[-1].name else "the last column that can be"
    return able[-1], f"({place}; --target names another)"


def named_targets(target: str, columns: Sequence[str], where: str) -> list[str]:
    """Return the columns that ``target`` names: one, or several between commas.

    Raises:
        DataError: if there is no such column, or it is named twice.
    """
    names = [target] if target in columns else [name.strip() for name in target.split(",")]
    for i, name in enumerate(names):
        if name not in columns:
            raise DataError(where, f"has no column {name!r}", suggest(name, list(columns)))
        if name in names[:i]:
            raise DataError(where, f"the target {name!r} is named twice", "name it once")
    return names


def goal_of_several(frame: pd.DataFrame, where: str) -> Goal:
    """Return what several targets ask for, one a column: labels if all of them can be, or numbers.

    Raises:
        DataError: if they are neither, or one cannot be predicted.
    """
    names = [str(name) for name in frame.columns]
    if len(frame) < LEAST_TABLE_ROWS:
        what = f"has {many(len(frame), 'row')}: too few to train, judge and test on"
        raise DataError(where, what, f"at least {LEAST_TABLE_ROWS} rows are needed")
    words = [{text.strip().lower() for text in texts_of(frame[n].dropna())} for n in names]
    labels = all(one <= set(WORDS) for one in words)
    if not labels and not all(is_numeric(frame[name]) for name in names):
        odd = next(name for name in names if not is_numeric(frame[name]))
        what = f"the targets are neither all labels nor all numbers: {odd!r} is not"
        raise DataError(where, what, "labels are 0 or 1, no or yes, false or true")
    kind = "multilabel" if labels else "regression"
    y = several_targets(frame, names, task_kind=kind, where=where, place=data_row)
    if not labels:
        return Goal(kind=kind, n_rows=len(frame), classes={})
    check_labels(y, names, where=where)
    rows = dict(zip(names, y.sum(0).astype(int).tolist(), strict=True))
    return Goal(kind=kind, n_rows=len(frame), classes=rows)


def goal_of(column: "pd.Series[Any]", name: str, where: str) -> Goal:
    """Return what the target asks for; text, booleans and few whole numbers are classes.

    Raises:
        DataError: if a value is missing, infinite or no number among numbers; or there are too
            few rows, or too few of a class.
    """
    missing, given = int(column.isna().sum()), column.dropna()
    if missing:
        what = f"the target {name!r} has no value in {many(missing, 'row')} of {len(column)}"
        raise DataError(where, what, "drop these rows, or name another target")
    if len(column) < LEAST_TABLE_ROWS:
        what = f"has {many(len(column), 'row')}: too few to train, judge and test on"
        raise DataError(where, what, f"at least {LEAST_TABLE_ROWS} rows are needed")
    if not is_numeric(column):
        _check_text_target(column, name, where)
    elif not _few_whole_numbers(given):
        if not np.isfinite(given.astype(float)).all():
            raise DataError(where, f"the target {name!r} has an infinite number", "correct it")
        return Goal(kind="regression", n_rows=len(column), classes={})
    return class_goal(texts_of(given), where=where, what=f"the target {name!r}")


def _few_whole_numbers(given: "pd.Series[Any]") -> bool:
    """Say whether numbers are classes: two of them, or few that come again and again."""
    distinct = given.nunique()
    if distinct < 2:
        return True  # which class_goal refuses
    whole = bool((given.astype(float) % 1 == 0).all())
    return whole and (distinct <= 2 or distinct <= min(MOST_NUMBER_CLASSES, 0.05 * len(given)))


def _check_text_target(column: "pd.Series[Any]", name: str, where: str) -> None:
    try:
        canonical_frame(column.to_frame(), Reading(where=where))
    except DataError as error:
        what = f"the target: {error.what}"
        raise DataError(where, what, "correct it, or name another target") from None


def class_goal(labels: Array, *, where: str, what: str) -> Goal:
    """Return the goal of telling the ``labels`` ``(rows,)`` apart.

    Raises:
        DataError: if there is one class only, or one has too few rows for three splits.
    """
    found, counts = np.unique(labels, return_counts=True)
    rows = dict(zip(map(str, found), map(int, counts), strict=True))
    rows = {label: rows[label] for label in natural_order(set(rows))}
    if len(rows) == 1:
        only = f"{what} has one class only: {next(iter(rows))!r}"
        raise DataError(where, only, "there is nothing to tell apart")
    few = {label: n for label, n in rows.items() if n < LEAST_ROWS}
    if few:
        shown = ", ".join(f"{label!r} ({n})" for label, n in islice(few.items(), 10))
        more = f" and {len(few) - 10} more" if len(few) > 10 else ""
        raise DataError(
            where,
            f"{what} has classes of fewer than {LEAST_ROWS} rows: {shown}{more}",
            "each split needs one: add rows, drop these classes or join them to others",
        )
    kind = "binary" if len(rows) == 2 else "multiclass"
    return Goal(kind=kind, n_rows=len(labels), classes=rows)


def many(n: int, noun: str) -> str:
    """Return a number and its noun.

    >>> many(1, "row"), many(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
