"""Raw rows of any source, and the checks that all sources share."""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pandas as pd

from lightning_modules.data.config import SOURCES, SourceConfig, TableConfig
from lightning_modules.data.dates import Order
from lightning_modules.data.frames import (
    Array,
    Reading,
    as_frame,
    canonical_frame,
    data_row,
    is_numeric,
    is_text,
    numbers_of,
    texts_of,
)
from lightning_modules.data.kinds import raw_kind
from lightning_modules.data.sequences import steps_of
from lightning_modules.data.several import check_labels, several_targets
from lightning_modules.errors import DataError, PluginError
from lightning_modules.registry import suggest
from lightning_modules.task import KINDS, NUMBERS

_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
LEAST_ROWS = 3
"""Rows that a class needs, so that it may stand in each of three splits."""


@dataclass(frozen=True, kw_only=True)
class RawData:
    """Rows as their source gave them.

    ``x`` is a table, features ``(rows, features)``, images ``(rows, channels, height, width)``,
    sequences ``(rows, steps, channels)`` (of different lengths: ``(rows,)`` of arrays ``(steps,
    channels)``), or ``(rows,)`` texts; ``y`` one label or number per row, ``(rows,)``, or several,
    ``(rows, targets)``. ``where`` names the source in errors. ``official_test`` is a test split
    that the source brings along, as ``(x, y)``. ``date_orders`` says in which order the parts of a
    date stand, for each column of dates. ``groups`` and ``times`` are what a split by them goes by,
    ``(rows,)``.
    """

    x: "pd.DataFrame | Array"
    y: "pd.Series[Any] | pd.DataFrame | Array"
    where: str
    official_test: "tuple[pd.DataFrame | Array, pd.Series[Any] | Array] | None" = None
    date_orders: Mapping[str, Order] = field(default_factory=dict)
    groups: Array | None = None
    times: Array | None = None
    target_names: Sequence[str] | None = None
    """Of several targets; by default y0, y1, …"""
    place: Callable[[int], str] = data_row
    """Names a row, counted from 0, in errors."""


def load(config: SourceConfig, *, task_kind: str) -> RawData:
    """Read the rows that ``config`` names, checked, in one form for all sources.

    Returns:
        Tables as DataFrames of float64, text and moments, images as arrays; the target as text
        for classification and as float64 for regression and labels.

    Raises:
        DataError: if the task kind is unknown; x and y do not fit together; there is no row, or no
            column to predict from; a sequence has no steps or other channels than the first; a
            target is missing, no number or infinite; a class has too few rows, or there are too
            few or too many classes; a number is infinite, a pixel is no number.
    """
    if task_kind not in KINDS:
        raise DataError("task.kind", f"unknown {task_kind!r}", suggest(task_kind, list(KINDS)))
    _refuse_archive(config)
    raw = loader_of(config)(config)
    if isinstance(raw.x, pd.DataFrame) and not len(raw.x.columns) and task_kind != "forecasting":
        raise DataError(raw.where, "no feature column is left", _hint_for_columns(config))
    names = _names(raw)
    x, y = _rows(raw.x, raw.y, raw.where), _targets(raw, names, task_kind)
    if task_kind == "multilabel":
        check_labels(y, names or (), where=raw.where)
    elif task_kind not in NUMBERS:
        _check_classes(y, task_kind, raw.where)
    test = None
    if raw.official_test is not None:
        where = f"{raw.where} (test split)"
        test_x, test_y = raw.official_test
        test_raw = replace(raw, y=test_y, where=where, place=data_row)
        test = (_rows(test_x, test_y, where), _targets(test_raw, names, task_kind))
    return replace(raw, x=x, y=y, official_test=test, target_names=names)


def _refuse_archive(config: SourceConfig) -> None:
    """Refuse packed files: nothing is unpacked here, so that no name in them leads anywhere."""
    path = getattr(config, "path", None)
    if isinstance(path, str) and path.lower().endswith(_PACKED) and os.path.isfile(path):
        hint = "unpack it, and give the file or folder that was in it"
        raise DataError(path, "is an archive", hint)


def _hint_for_columns(config: SourceConfig) -> str:
    if isinstance(config, TableConfig) and config.ignore:
        return "shorten data.ignore"
    if isinstance(config, TableConfig) and (config.group or config.time):
        return "set data.use_split_column"
    return "give a column beside the target"


def _names(raw: RawData) -> Sequence[str] | None:
    """Return the names of several targets; None of one."""
    if raw.y.ndim != 2 or raw.y.shape[1] < 2:
        return None
    return raw.target_names or [f"y{i}" for i in range(raw.y.shape[1])]


def _targets(raw: RawData, names: Sequence[str] | None, task_kind: str) -> Array:
    if names is not None and raw.y.ndim == 2 and raw.y.shape[1] == len(names):
        return several_targets(
            cast("pd.DataFrame | Array", raw.y),
            names,
            task_kind=task_kind,
            where=raw.where,
            place=raw.place,
        )
    if task_kind == "multilabel":
        what = f"the target has shape {raw.y.shape}"
        raise DataError(raw.where, what, "multilabel needs several labels a row: (rows, labels)")
    return _target(cast("pd.Series[Any] | Array", raw.y), task_kind, raw.where)


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
    x: "pd.DataFrame | Array", y: "pd.Series[Any] | pd.DataFrame | Array", where: str
) -> "pd.DataFrame | Array":
    if len(x) != len(y):
        raise DataError(where, f"x has {len(x)} rows and y has {len(y)}", "give both all rows")
    if not len(x):
        raise DataError(where, "has no rows", "at least one row of data is needed")
    if isinstance(x, pd.DataFrame) and not len(x.columns):
        return x
    if isinstance(x, pd.DataFrame) or x.ndim == 2:
        frame = as_frame(x)
        texts = [str(name) for name in frame.columns if is_text(frame[name])]
        frame = canonical_frame(frame, Reading(where=where, categorical=texts))
        _check_finite(frame, where)
        return frame
    kind = raw_kind(x, where)
    if kind == "sequence":
        steps_of(x, where)
    if kind != "image":
        return x
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
    if task_kind not in NUMBERS:
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
