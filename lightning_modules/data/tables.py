"""Tables: scikit-learn's named sets, and CSV files."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from lightning_modules.data.config import CsvConfig, SourceConfig
from lightning_modules.data.csv_check import checked_header, line_of_row
from lightning_modules.data.frames import Reading, canonical_frame
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
    """Return a CSV file's columns as numbers and categories, without target and ignored ones.

    Raises:
        DataError: if the file cannot be read as a table; the config names a column that does not
            exist, or one for two purposes; a column has no name; no feature column is left; or a
            column is empty, an id, or numbers but for a few texts.
    """
    path = Path(os.path.expanduser(config.path))
    header = checked_header(path, where=config.path)
    _check_names(config, header)
    frame = read_table(path, header=header, text_columns=config.categorical, where=config.path)
    features = [name for name in header if name != config.target and name not in config.ignore]
    x = canonical_frame(
        frame[features],
        Reading(
            where=config.path,
            categorical=config.categorical,
            leave_out="name it in data.ignore",
            place=lambda row: f"line {line_of_row(path, row)}",
        ),
    )
    return RawData(x=x, y=frame[config.target], where=config.path)


def read_table(
    path: Path, *, header: list[str], text_columns: Collection[str], where: str
) -> pd.DataFrame:
    """Return a checked CSV file as pandas infers it; ``text_columns`` keep their exact text.

    Empty fields, ``?`` and pandas' usual markers (NA, NaN, null, ...) are missing values.

    Raises:
        DataError: if pandas cannot read the file.
    """
    try:
        return pd.read_csv(
            path,
            encoding="utf-8-sig",
            header=0,
            names=header,
            index_col=False,
            dtype=dict.fromkeys(text_columns, str),
            na_values=["?"],
            low_memory=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise DataError(where, f"is not a CSV file: {error}") from None


def _check_names(config: CsvConfig, header: list[str]) -> None:
    where = config.path
    if config.target not in header:
        raise DataError(
            where, f"data.target: no column {config.target!r}", suggest(config.target, header)
        )
    for key, names in (("ignore", config.ignore), ("categorical", config.categorical)):
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
