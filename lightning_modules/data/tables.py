"""Tables: scikit-learn's named sets, and CSV files."""

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from lightning_modules.data.config import CsvConfig, ParquetConfig, SourceConfig, TableConfig
from lightning_modules.data.csv_check import checked_header, line_of_row
from lightning_modules.data.csv_form import CsvForm, opening_error, recognise_form
from lightning_modules.data.dates import with_dates
from lightning_modules.data.frames import (
    Array,
    Reading,
    canonical_frame,
    data_row,
    is_numeric,
    numbers_of,
    plain_moments,
    texts_of,
)
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError
from lightning_modules.registry import suggest

_NAMED: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
}


def load_named(config: SourceConfig) -> RawData:
    """Return one of scikit-learn's sets; digits as images ``(1797, 1, 8, 8)`` float32."""
    name = str(config.model_dump()["source"])
    if name == "digits":
        digits = datasets.load_digits()
        images = np.asarray(digits.images, dtype=np.float32)[:, None]
        return RawData(x=images, y=digits.target.astype(str).astype(object), where=name)
    found = _NAMED[name]()
    x = pd.DataFrame(found.data, columns=[str(feature) for feature in found.feature_names])
    if name == "diabetes":
        return RawData(x=x, y=np.asarray(found.target, dtype=np.float64), where=name)
    labels = np.asarray(found.target_names).astype(str).astype(object)
    return RawData(x=x, y=labels[found.target], where=name)


def load_csv(config: CsvConfig) -> RawData:
    """Return the feature columns of a CSV file as numbers, categories and dates, and its target.

    Raises:
        DataError: if the file cannot be read as a table; the config names a column that does not
            exist, or one for two purposes; a column has no name; no feature column is left; or a
            column is empty, an id, or numbers but for a few texts.
    """
    path, where = Path(os.path.expanduser(config.path)), config.path
    form = recognise_form(path, where=where, delimiter=config.delimiter, encoding=config.encoding)
    header = checked_header(path, where=where, form=form)
    _check_names(config, header)
    frame = read_table(path, header=header, text_columns=config.categorical, where=where, form=form)
    return _raw(config, frame, lambda row: f"line {line_of_row(path, row, form)}")


def load_parquet(config: ParquetConfig) -> RawData:
    """Return a Parquet file's columns, as `load_csv` does those of a CSV file.

    Raises:
        DataError: if pyarrow is missing, or the file is none; otherwise as `load_csv`.
    """
    frame = read_parquet(Path(os.path.expanduser(config.path)), where=config.path)
    _check_names(config, list(frame.columns))
    return _raw(config, frame, data_row)


def read_parquet(path: Path, *, where: str) -> pd.DataFrame:
    """Return the table in a Parquet file.

    Raises:
        DataError: if pyarrow is missing; the file cannot be read, is none, or has no rows; or a
            column name stands twice.
    """
    if find_spec("pyarrow") is None:
        raise DataError(where, "is Parquet, which needs pyarrow", "pip install 'hpo[parquet]'")
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:  # pyarrow's own errors are these
        if isinstance(error, FileNotFoundError | PermissionError) or path.is_dir():
            fault = error if isinstance(error, OSError) else IsADirectoryError()
            raise opening_error(path, fault, where) from None
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(where, f"is no Parquet file: {first}") from None
    names = [str(name) for name in frame.columns]
    if not len(frame):
        raise DataError(where, "has no rows", "at least one row of data is needed")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(where, f"column {twice!r} stands twice", "rename one of them")
    return frame.set_axis(names, axis=1).reset_index(drop=True)


def _raw(config: TableConfig, frame: pd.DataFrame, place: Callable[[int], str]) -> RawData:
    passed = {config.target, *config.ignore}
    if not config.use_split_column:
        passed |= {config.group or config.target, config.time or config.target}
    features = [name for name in frame.columns if name not in passed]
    if not features:
        raise DataError(config.path, "no feature column is left", "set data.use_split_column")
    reading = Reading(
        where=config.path,
        categorical=config.categorical,
        leave_out="name it in data.ignore",
        place=place,
    )
    read, orders = with_dates(frame[features], reading)
    x = canonical_frame(read, reading)
    return RawData(
        x=x,
        y=frame[config.target],
        where=config.path,
        date_orders=orders,
        groups=None if config.group is None else _groups(frame[config.group], reading),
        times=None if config.time is None else _times(frame[[config.time]], reading),
    )


def _groups(column: "pd.Series[Any]", reading: Reading) -> Array:
    _check_given(column, "group", reading)
    return np.asarray(pd.factorize(texts_of(column))[0], dtype=np.int64)


def _times(frame: pd.DataFrame, reading: Reading) -> Array:
    """Return moments as microseconds, or numbers as they are."""
    column = frame.iloc[:, 0]
    _check_given(column, "time", reading)
    moments = with_dates(frame, replace(reading, categorical=()))[0].iloc[:, 0]
    if moments.dtype.kind == "M":
        return plain_moments(moments).to_numpy().astype(np.int64)
    if not is_numeric(column):
        what = f"data.time: column {str(column.name)!r} holds neither dates nor numbers"
        raise DataError(reading.where, what, "write dates as 2024-12-31")
    return numbers_of(column, where=reading.where)


def _check_given(column: "pd.Series[Any]", key: str, reading: Reading) -> None:
    missing = np.asarray(column.isna())
    if missing.any():
        what = f"data.{key}: {reading.place(int(missing.argmax()))} has no {str(column.name)!r}"
        raise DataError(reading.where, what, "complete it, or drop the row")


def read_table(
    path: Path, *, header: list[str], text_columns: Collection[str], where: str, form: CsvForm
) -> pd.DataFrame:
    """Return a checked CSV file as pandas infers it; ``text_columns`` keep their exact text.

    Empty fields, ``?`` and pandas' usual markers (NA, NaN, null, ...) are missing values.

    Raises:
        DataError: if pandas cannot read the file.
    """
    try:
        return pd.read_csv(
            path,
            encoding=form.encoding,
            sep=form.delimiter,
            decimal=form.decimal,
            header=0,
            names=header,
            index_col=False,
            dtype=dict.fromkeys(text_columns, str),
            na_values=["?"],
            low_memory=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(where, f"is not a CSV file: {error}") from None


def _check_names(config: TableConfig, header: list[str]) -> None:
    where = config.path
    if config.target not in header:
        raise DataError(
            where, f"data.target: no column {config.target!r}", suggest(config.target, header)
        )
    _check_split_column(config)
    by = [name for name in (config.group, config.time) if name is not None]
    for key, names in (
        ("ignore", config.ignore),
        ("categorical", config.categorical),
        ("group" if config.group else "time", by),
    ):
        for name in names:
            if name not in header:
                raise DataError(where, f"data.{key}: no column {name!r}", suggest(name, header))
    if config.target in config.ignore:
        raise DataError(
            where, f"data.ignore: {config.target!r} is the target", "remove it from data.ignore"
        )
    if config.target in config.categorical:
        raise DataError(
            where,
            f"data.categorical: {config.target!r} is the target",
            "remove it: data.categorical is for features",
        )
    for name in config.categorical:
        if name in config.ignore:
            raise DataError(
                where, f"data.categorical: {name!r} is in data.ignore too", "remove it from one"
            )
    for name in header:
        if name.startswith("Unnamed: ") and name != config.target and name not in config.ignore:
            raise DataError(
                where,
                f"column {header.index(name) + 1} has no name: a row number?",
                f"name it in the header, or leave it out by data.ignore: [{name!r}]",
            )
    if not set(header) - {config.target, *config.ignore}:
        raise DataError(where, "no feature column is left", "shorten data.ignore")


def _check_split_column(config: TableConfig) -> None:
    for key, name in (("group", config.group), ("time", config.time)):
        if name is not None and name == config.target:
            what = f"data.{key}: {name!r} is the target"
            raise DataError(config.path, what, "name another column")
        if name is not None and name in config.ignore:
            what = f"data.{key}: {name!r} is in data.ignore too"
            raise DataError(config.path, what, "remove it from there")
