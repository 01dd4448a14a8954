"""From a source config to tensors, once for all runs that share it: no seed, no batch size."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lightning_modules.data.columnwise import taken
from lightning_modules.data.config import SourceConfig, TableConfig
from lightning_modules.data.fingerprint import (
    fingerprint_data,
    fingerprint_json,
    fingerprint_split,
)
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import (
    WindowPreparation,
    first_steps,
    series_of,
    split_steps,
    windows,
)
from lightning_modules.data.frames import Array, as_frame
from lightning_modules.data.image_preparation import pixel_range
from lightning_modules.data.kinds import raw_kind
from lightning_modules.data.prepare import (
    INPUT_KINDS,
    InputKind,
    Preparation,
    check_effect,
    fit_preparation,
)
from lightning_modules.data.raw import RawData, load
from lightning_modules.data.repeats import cut
from lightning_modules.data.split import Split
from lightning_modules.data.table_preparation import TablePreparation, fit_table
from lightning_modules.data.target import fit_target
from lightning_modules.errors import DataError
from lightning_modules.task import NUMBERS, ForecastingConfig

NEXT_STEPS = ForecastingConfig()
"""How far a forecasting task looks back and ahead where that is not said."""

TARGET_KINDS = {"multilabel": ("labels",), **dict.fromkeys(NUMBERS, ("number", "numbers"))}
"""What is fitted of the target of a kind of task; of all others, classes."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of one split as tensors.

    ``x`` is float32, ``(rows, features)``, ``(rows, steps, channels)`` or ``(rows, channels,
    height, width)``; of texts int64, ``(rows, steps)``. ``y`` is ``(rows,)``, int64 class numbers
    or float32 scaled numbers; or float32, ``(rows, targets)``, of several numbers, labels or steps.
    """

    x: Tensor
    y: Tensor


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """The tensors of a task and what is known of them; many runs share one.

    ``input_shape`` is the shape of one row; ``n_outputs`` the number of classes, 1 for binary and
    regression; ``class_counts`` counts training rows, ``n_repeats`` those rows of all whose
    features an earlier one has. ``test`` is None unless it was asked for.
    """

    train: Rows
    validation: Rows
    test: Rows | None
    fitted: Fitted
    task_kind: str
    input_shape: tuple[int, ...]
    input_kind: InputKind
    n_outputs: int
    classes: list[str] | None
    class_counts: list[int] | None
    n_rows: dict[str, int]
    data_sha256: str
    split_sha256: str
    preparation_sha256: str
    n_repeats: int = 0
    label_counts: list[list[int]] | None = None
    """Training rows without each label, and with it."""
    pixels: tuple[float, float] | None = None
    """What black and white are in the training images, before they are scaled."""


def prepare_task(
    config: SourceConfig,
    *,
    task_kind: str,
    with_test: bool = False,
    fitted: Fitted | None = None,
    forecast: ForecastingConfig = NEXT_STEPS,
) -> PreparedData:
    """Load, split, fit on the training rows alone, and transform.

    Args:
        config: the source, its splits and its preparation.
        task_kind: one of `KINDS`.
        with_test: transform the test rows too, which ``evaluate --test`` alone does.
        fitted: statistics of an earlier training, to be used instead of fitting.
        forecast: of a forecasting task, how far it looks back and ahead.

    Raises:
        DataError: if the data cannot be what the config says; if ``fitted`` is of another kind of
            task; or if test rows are wanted and there are none.
    """
    if task_kind == "forecasting":
        return _prepare_series(config, forecast, with_test=with_test, fitted=fitted)
    found = cut(load(config, task_kind=task_kind), config, task_kind=task_kind)
    raw, split = found.raw, found.split
    train_x, train_y = _take(raw, split.train)
    if fitted is None:
        preparation = fit_preparation(train_x, config.prepare, date_orders=raw.date_orders)
        fitted = Fitted(
            input_shape=list(_apply(preparation, train_x[:1]).shape[1:]),
            preparation=preparation,
            target=fit_target(
                train_y, task_kind=task_kind, config=config.prepare, names=raw.target_names
            ),
        )
    elif fitted.target.kind not in TARGET_KINDS.get(task_kind, ("classes",)):
        raise DataError(
            "task.kind",
            f"{task_kind} does not fit a target of {fitted.target.kind}",
            "use the preparation of this task's own training",
        )
    train = _transform(fitted, train_x, train_y)
    test = _transform(fitted, *_test_rows(raw, split)) if with_test else None
    validation = _transform(fitted, *_take(raw, split.validation))
    data = _describe(raw, split, fitted, task_kind, (train, validation, test))
    pixels = None
    if not isinstance(train_x, pd.DataFrame) and fitted.preparation.kind == "image":
        pixels = pixel_range(train_x)
    return replace(data, n_repeats=found.n_repeats, pixels=pixels)


def _prepare_series(
    config: SourceConfig, task: ForecastingConfig, *, with_test: bool, fitted: Fitted | None
) -> PreparedData:
    """Return windows over a series; nothing behind the validation steps is read unless asked."""
    raw = series_of(load(config, task_kind=task.kind))
    split = split_steps(len(raw.y), validation=config.validation, test=config.test, task=task)
    x, y = as_frame(raw.x), np.asarray(raw.y)
    if fitted is None:
        fitted = _fit_series(raw, split, config, task)
    preparation = fitted.preparation
    if not isinstance(preparation, WindowPreparation) or fitted.target.kind != "number":
        raise DataError("task.kind", "the preparation is not for forecasting", "train it again")
    if with_test and not len(split.test):
        raise DataError(raw.where, "has no test split", "set data.test, such as 0.2")
    end = len(y) if with_test else len(y) - len(split.test)
    scaled = fitted.target.apply(y[:end])
    channels = preparation.channels(x.iloc[:end], scaled)

    def rows(steps: Array) -> Rows:
        inputs, targets = windows(channels, scaled, first_steps(steps, task), task)
        return Rows(x=torch.from_numpy(inputs), y=torch.from_numpy(targets))

    parts = (
        rows(split.train),
        rows(split.validation),
        rows(split.test) if with_test else None,
    )
    n_test = len(split.test) and len(first_steps(split.test, task))
    n_rows = {"train": len(parts[0].y), "validation": len(parts[1].y), "test": n_test}
    return replace(_describe(raw, split, fitted, task.kind, parts), n_rows=n_rows)


def _fit_series(
    raw: RawData, split: Split, config: SourceConfig, task: ForecastingConfig
) -> Fitted:
    """Return the statistics of the training steps, each counted once."""
    x, y = _take(raw, split.train)
    x = as_frame(x)
    check_effect("table" if len(x.columns) else "series", config.prepare)
    table = config if isinstance(config, TableConfig) else None
    preparation = WindowPreparation(
        target=table.target if table is not None and isinstance(table.target, str) else "y",
        time=table.time if table is not None else None,
        time_order=raw.date_orders.get(str(table.time)) if table is not None else None,
        others=fit_table(x, config.prepare, raw.date_orders),
        window=task.window,
        horizon=task.horizon,
    )
    return Fitted(
        input_shape=[task.window, 1 + preparation.others.n_features],
        preparation=preparation,
        target=fit_target(y, task_kind=task.kind, config=config.prepare),
    )


def _describe(
    raw: RawData,
    split: Split,
    fitted: Fitted,
    task_kind: str,
    rows: tuple[Rows, Rows, Rows | None],
) -> PreparedData:
    train, validation, test = rows
    classes = fitted.target.classes if fitted.target.kind == "classes" else None
    official = raw.official_test
    return PreparedData(
        train=train,
        validation=validation,
        test=test,
        fitted=fitted,
        task_kind=task_kind,
        input_shape=tuple(train.x.shape[1:]),
        input_kind=INPUT_KINDS[fitted.preparation.kind],
        n_outputs=train.y.shape[1]
        if train.y.ndim == 2
        else len(classes)
        if classes is not None and task_kind == "multiclass"
        else 1,
        classes=classes,
        label_counts=count_labels(train.y) if task_kind == "multilabel" else None,
        class_counts=None
        if classes is None
        else torch.bincount(train.y, minlength=len(classes)).tolist(),
        n_rows={
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test) if official is None else len(official[1]),
        },
        data_sha256=fingerprint_data(raw),
        split_sha256=fingerprint_split(split),
        preparation_sha256=fingerprint_json(fitted.model_dump(mode="json")),
    )


def count_labels(y: Tensor) -> list[list[int]]:
    """Return the rows without each label, and with it: ``y`` is 0 or 1, ``(rows, labels)``."""
    return [[len(y) - n, n] for n in y.sum(0).int().tolist()]


def _take(raw: RawData, rows: Array) -> tuple[pd.DataFrame | Array, Array]:
    return taken(raw.x, rows), np.asarray(raw.y)[rows]


def _test_rows(raw: RawData, split: Split) -> "tuple[pd.DataFrame | Array, pd.Series[Any] | Array]":
    if raw.official_test is not None:
        return raw.official_test
    if not len(split.test):
        raise DataError(raw.where, "has no test split", "set data.test, such as 0.2")
    return _take(raw, split.test)


def _transform(fitted: Fitted, x: pd.DataFrame | Array, y: "pd.Series[Any] | Array") -> Rows:
    features = _apply(fitted.preparation, x)
    return Rows(x=torch.from_numpy(features), y=torch.from_numpy(fitted.target.apply(y)))


_NOUNS = {
    "table": "a table",
    "image": "images",
    "sequence": "sequences",
    "text": "texts",
    "window": "a series",
}


def _apply(preparation: Preparation, x: pd.DataFrame | Array) -> Array:
    kind = raw_kind(x, "data")
    if kind != preparation.kind:
        verb = "is" if kind == "table" else "are"
        what = f"{verb} {_NOUNS[kind]}, but the preparation is for {_NOUNS[preparation.kind]}"
        raise DataError("data", what)
    if isinstance(preparation, TablePreparation):
        return preparation.apply(x)
    if isinstance(x, pd.DataFrame) or isinstance(preparation, WindowPreparation):
        raise TypeError("a DataFrame is a table")
    return preparation.apply(x)
