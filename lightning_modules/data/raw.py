"""Raw rows of any source, and the checks that all sources share."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pandas as pd

from lightning_modules.data.config import SOURCES, SourceConfig
from lightning_modules.data.dates import Order
from lightning_modules.data.frames import (
    Array,
    Reading,
    as_frame,
    canonical_frame,
    is_numeric,
    is_text,
    numbers_of,
    texts_of,
)
from lightning_modules.errors import DataError, PluginError
from lightning_modules.registry import suggest
from lightning_modules.task import KINDS

LEAST_ROWS = 3
"""Rows that a class needs, so that it may stand in each of three splits."""


@dataclass(frozen=True, kw_only=True)
class RawData:
    """Rows as their source gave them.

    ``x`` is a table, features ``(rows, features)`` or images ``(rows, channels, height, width)``;
    ``y`` one label or number per row, ``(rows,)``. ``where`` names the source in errors.
    ``official_test`` is a test split that the source brings along, as ``(x, y)``. ``date_orders``
    says in which order the parts of a date stand, for each column of dates. ``groups`` and
    ``times`` are what a split by them goes by, ``(rows,)``.
    """

    x: "pd.DataFrame | Array"
    y: "pd.Series[Any] | Array"
    where: str
    official_test: "tuple[pd.DataFrame | Array, pd.Series[Any] | Array] | None" = None
    date_orders: Mapping[str, Order] = field(default_factory=dict)
    groups: Array | None = None
    times: Array | None = None


def load(config: SourceConfig, *, task_kind: str) -> RawData:
    """Read the rows that ``config`` names, checked, in one form for all sources.

    Returns:
        Tables as DataFrames of float64, text and moments, images as arrays; the target as text
        for classification and as float64 for regression.

    Raises:
        DataError: if the task kind is unknown; x and y do not fit together; there is no row; a
            target is missing, no number or infinite; a class has too few rows, or there are too
            few or too many classes; a number is infinite, a pixel is no number.
    """
    if task_kind not in KINDS:
        raise DataError("task.kind", f"unknown {task_kind!r}", suggest(task_kind, list(KINDS)))
    raw = loader_of(config)(config)
    x, y = _rows(raw.x, raw.y, raw.where), _target(raw.y, task_kind, raw.where)
    if task_kind != "regression":
        _check_classes(y, task_kind, raw.where)
    test = None
    if raw.official_test is not None:
        where = f"{raw.where} (test split)"
        test_x, test_y = raw.official_test
        test = (_rows(test_x, test_y, where), _target(test_y, task_kind, where))
    return replace(raw, x=x, y=y, official_test=test)


def loader_of(config: SourceConfig) -> Callable[[SourceConfig], RawData]:
    """Return the loader that the config's source is registered with.

    Raises:
        PluginError: if ``module:function`` cannot be imported, or the source brings a data module
            of its own and so has no raw rows.
    """
    name = str(config.model_dump()["source"])
    loader = SOURCES[name].loader
    if not loader:
        raise PluginError(f"data source {name!r}", "brings a data module, not rows")
    if callable(loader):
        return loader
    module, _, function = loader.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"data source {name!r}", f"its loader {loader} fails: {error}") from error
    return cast(Callable[[SourceConfig], RawData], found)


def _rows(
    x: "pd.DataFrame | Array", y: "pd.Series[Any] | Array", where: str
) -> "pd.DataFrame | Array":
    if len(x) != len(y):
        raise DataError(where, f"x has {len(x)} rows and y has {len(y)}", "give both all rows")
    if not len(x):
        raise DataError(where, "has no rows", "at least one row of data is needed")
    if isinstance(x, pd.DataFrame) or x.ndim == 2:
        frame = as_frame(x)
        texts = [str(name) for name in frame.columns if is_text(frame[name])]
        frame = canonical_frame(frame, Reading(where=where, categorical=texts))
        _check_finite(frame, where)
        return frame
    if x.ndim != 4:
        raise DataError(
            where, f"x has shape {x.shape}", "(rows, features) or (rows, channels, height, width)"
        )
    if x.dtype.kind not in "biuf":
        raise DataError(where, f"images are of type {x.dtype}", "give integers or floats")
    if x.dtype.kind == "f":
        wrong = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if wrong.any():
            raise DataError(
                where,
                f"image {int(wrong.argmax()) + 1} has a pixel that is NaN or infinite",
                "correct or remove it",
            )
    return x


def _check_finite(frame: pd.DataFrame, where: str) -> None:
    for name in frame.columns:
        if frame[name].dtype.kind != "f":
            continue
        infinite = np.isinf(frame[name].to_numpy())
        if infinite.any():
            row = int(infinite.argmax()) + 1
            raise DataError(
                where,
                f"column {name!r} has an infinite number in row {row}",
                "correct it, or leave it empty where the number is unknown",
            )


def _target(y: "pd.Series[Any] | Array", task_kind: str, where: str) -> Array:
    if y.ndim != 1:
        raise DataError(where, f"the target has shape {y.shape}", "one value per row: (rows,)")
    series = pd.Series(y)
    missing = np.asarray(series.isna())
    if missing.any():
        raise DataError(
            where,
            f"{int(missing.sum())} rows have no target, the first is row {missing.argmax() + 1}",
            "drop these rows",
        )
    if task_kind != "regression":
        return texts_of(series)
    texts = None if is_numeric(series) else pd.to_numeric(series.astype(object), errors="coerce")
    if texts is not None and bool(texts.isna().any()):
        row = int(np.asarray(texts.isna()).argmax())
        raise DataError(
            where,
            f"the target of row {row + 1} is {series.iloc[row]!r}, not a number",
            "correct it, or set task.kind: multiclass",
        )
    numbers = numbers_of(series, where=where)
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax()) + 1
        raise DataError(where, f"the target of row {row} is infinite", "correct or drop the row")
    return numbers


def _check_classes(y: Array, task_kind: str, where: str) -> None:
    classes, counts = np.unique(y, return_counts=True)
    names = ", ".join(repr(name) for name in classes[:10]) + (", ..." if len(classes) > 10 else "")
    if len(classes) < 2:
        raise DataError(
            where, f"the target has one class only: {names}", "there is nothing to tell apart"
        )
    if task_kind == "binary" and len(classes) != 2:
        raise DataError(
            where,
            f"task.kind is binary, but the target has {len(classes)} classes: {names}",
            "task.kind: multiclass",
        )
    few = counts < LEAST_ROWS
    if few.any():
        hint = f"each class needs {LEAST_ROWS}, one for each split: add rows or drop the class"
        if few.mean() > 0.5:
            hint += "; for numbers to predict set task.kind: regression"
        at = int(few.argmax())
        rows = "1 row" if counts[at] == 1 else f"{counts[at]} rows"
        raise DataError(where, f"class {classes[at]!r} has only {rows}", hint)
