"""Tables in CSV and Parquet files."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_modules.data.columnwise import blocks_of, laid_out
from lightning_modules.data.config import CsvConfig, ParquetConfig, TableConfig
from lightning_modules.data.csv_check import checked_header, line_of_row
from lightning_modules.data.csv_form import CsvForm, recognise_form
from lightning_modules.data.dates import Order, with_dates
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
from lightning_modules.data.parquet import ParquetTable, open_parquet
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError
from lightning_modules.registry import suggest


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
    texts = config.categorical if config.text is None else [config.text]
    frame = read_table(path, header=header, text_columns=texts, where=where, form=form)
    return _raw(config, frame, lambda row: f"line {line_of_row(path, row, form)}")


def load_parquet(config: ParquetConfig) -> RawData:
    """Return a Parquet file's columns, as `load_csv` does those of a CSV file.

    Raises:
        DataError: if pyarrow is missing, or the file is none; otherwise as `load_csv`.
    """
    return rows_of_frame(
        config, open_parquet(Path(os.path.expanduser(config.path)), where=config.path)
    )


def rows_of_frame(config: TableConfig, frame: pd.DataFrame | ParquetTable) -> RawData:
    """Return the columns of a table that was read, or opened, as `load_csv` does those of a file.

    Raises:
        DataError: as `load_csv`, but for what concerns files.
    """
    _check_names(config, list(frame.columns))
    return _raw(config, frame, data_row)


def _raw(
    config: TableConfig, frame: pd.DataFrame | ParquetTable, place: Callable[[int], str]
) -> RawData:
    reading = Reading(
        where=config.path,
        categorical=config.categorical,
        leave_out="name it in data.ignore",
        place=place,
    )
    x, orders = _inputs(config, frame, reading)
    times = None
    if config.time is not None:
        times, of_times = _times(frame[[config.time]], reading)
        orders = {**of_times, **orders}
    return RawData(
        x=x,
        y=_column(frame, config.target)
        if isinstance(config.target, str)
        else frame[list(config.target)],
        target_names=None if isinstance(config.target, str) else config.target,
        place=place,
        where=config.path,
        date_orders=orders,
        groups=None if config.group is None else _groups(_column(frame, config.group), reading),
        times=times,
    )


def _inputs(
    config: TableConfig, frame: pd.DataFrame | ParquetTable, reading: Reading
) -> tuple[pd.DataFrame | Array, Mapping[str, Order]]:
    """Return what is predicted from, perhaps no column, and the orders in its dates."""
    if config.text is not None:
        return texts_of(_column(frame, config.text)), {}
    passed = {*config.targets, *config.ignore}
    if not config.use_split_column:
        passed |= {name for name in (config.group, config.time) if name is not None}
    features = [name for name in frame.columns if name not in passed]
    orders: dict[str, Order] = {}

    def columns() -> Iterator[tuple[str, "pd.Series[Any]"]]:
        for names in blocks_of(features, len(frame)):
            read, found = with_dates(frame[names], reading)
            orders.update(found)
            canonical = canonical_frame(read, reading)
            yield from ((name, canonical[name]) for name in names)

    return laid_out(columns(), n_columns=len(features), n_rows=len(frame)), orders


def _column(frame: pd.DataFrame | ParquetTable, name: str) -> "pd.Series[Any]":
    return frame[[name]].iloc[:, 0]


def _groups(column: "pd.Series[Any]", reading: Reading) -> Array:
    _check_given(column, "group", reading)
    return np.asarray(pd.factorize(texts_of(column))[0], dtype=np.int64)


def _times(frame: pd.DataFrame, reading: Reading) -> tuple[Array, Mapping[str, Order]]:
    """Return moments as microseconds, or numbers as they are, and the order in dates."""
    column = frame.iloc[:, 0]
    _check_given(column, "time", reading)
    read, orders = with_dates(frame, replace(reading, categorical=()))
    moments = read.iloc[:, 0]
    if moments.dtype.kind == "M":
        return plain_moments(moments).to_numpy().astype(np.int64), orders
    if not is_numeric(column):
        what = f"data.time: column {str(column.name)!r} holds neither dates nor numbers"
        raise DataError(reading.where, what, "write dates as 2024-12-31")
    return numbers_of(column, where=reading.where), {}


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
    for target in config.targets:
        if target not in header:
            raise DataError(where, f"data.target: no column {target!r}", suggest(target, header))
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
    for target in config.targets:
        a = f"{target!r} is {'the' if isinstance(config.target, str) else 'a'} target"
        if target in config.ignore:
            raise DataError(where, f"data.ignore: {a}", "remove it from data.ignore")
        if target in config.categorical:
            hint = "remove it: data.categorical is for features"
            raise DataError(where, f"data.categorical: {a}", hint)
    for name in config.categorical:
        if name in config.ignore:
            raise DataError(
                where, f"data.categorical: {name!r} is in data.ignore too", "remove it from one"
            )
    if config.text is not None:
        _check_text_column(config, header)
        return
    for name in header:
        if name.startswith("Unnamed: ") and name not in {*config.targets, *config.ignore}:
            raise DataError(
                where,
                f"column {header.index(name) + 1} has no name: a row number?",
                f"name it in the header, or leave it out by data.ignore: [{name!r}]",
            )


def _check_text_column(config: TableConfig, header: list[str]) -> None:
    text = str(config.text)
    if text not in header:
        raise DataError(config.path, f"data.text: no column {text!r}", suggest(text, header))
    for key, names in (
        ("target", config.targets),
        ("group", [config.group]),
        ("time", [config.time]),
    ):
        if text in names:
            raise DataError(config.path, f"data.text: {text!r} is data.{key} too", "name another")


def _check_split_column(config: TableConfig) -> None:
    for key, name in (("group", config.group), ("time", config.time)):
        if name is not None and name in config.targets:
            what = f"data.{key}: {name!r} is the target"
            raise DataError(config.path, what, "name another column")
        if name is not None and name in config.ignore:
            what = f"data.{key}: {name!r} is in data.ignore too"
            raise DataError(config.path, what, "remove it from there")
