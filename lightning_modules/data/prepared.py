"""From a source config to tensors, once for all runs that share it: no seed, no batch size."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lightning_modules.data.config import SourceConfig
from lightning_modules.data.fingerprint import (
    fingerprint_data,
    fingerprint_json,
    fingerprint_split,
)
from lightning_modules.data.frames import Array
from lightning_modules.data.prepare import (
    Preparation,
    TablePreparation,
    fit_preparation,
)
from lightning_modules.data.raw import RawData, load
from lightning_modules.data.repeats import cut
from lightning_modules.data.split import Split
from lightning_modules.data.target import Target, fit_target
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings


class Fitted(Settings):
    """All that was fitted on training rows, and the shape of the rows it makes; JSON both ways."""

    input_shape: list[int]
    preparation: Preparation
    target: Target


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of one split as tensors.

    ``x`` is float32, ``(rows, features)`` or ``(rows, channels, height, width)``; ``y`` is
    ``(rows,)``, int64 class numbers or float32 scaled numbers.
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
    input_kind: Literal["features", "image"]
    n_outputs: int
    classes: list[str] | None
    class_counts: list[int] | None
    n_rows: dict[str, int]
    data_sha256: str
    split_sha256: str
    preparation_sha256: str
    n_repeats: int = 0


def prepare_task(
    config: SourceConfig, *, task_kind: str, with_test: bool = False, fitted: Fitted | None = None
) -> PreparedData:
    """Load, split, fit on the training rows alone, and transform.

    Args:
        config: the source, its splits and its preparation.
        task_kind: ``binary``, ``multiclass`` or ``regression``.
        with_test: transform the test rows too, which ``evaluate --test`` alone does.
        fitted: statistics of an earlier training, to be used instead of fitting.

    Raises:
        DataError: if the data cannot be what the config says; if ``fitted`` is of another kind of
            task; or if test rows are wanted and there are none.
    """
    found = cut(load(config, task_kind=task_kind), config, task_kind=task_kind)
    raw, split = found.raw, found.split
    train_x, train_y = _take(raw, split.train)
    if fitted is None:
        preparation = fit_preparation(train_x, config.prepare, date_orders=raw.date_orders)
        fitted = Fitted(
            input_shape=[preparation.n_features]
            if isinstance(preparation, TablePreparation)
            else list(train_x.shape[1:]),
            preparation=preparation,
            target=fit_target(train_y, task_kind=task_kind, config=config.prepare),
        )
    elif (fitted.target.kind == "number") != (task_kind == "regression"):
        raise DataError(
            "task.kind",
            f"{task_kind} does not fit a target of {fitted.target.kind}",
            "use the preparation of this task's own training",
        )
    train = _transform(fitted, train_x, train_y)
    test = _transform(fitted, *_test_rows(raw, split)) if with_test else None
    validation = _transform(fitted, *_take(raw, split.validation))
    data = _describe(raw, split, fitted, task_kind, (train, validation, test))
    return replace(data, n_repeats=found.n_repeats)


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
        input_kind="image" if fitted.preparation.kind == "image" else "features",
        n_outputs=len(classes) if classes is not None and task_kind == "multiclass" else 1,
        classes=classes,
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


def _take(raw: RawData, rows: Array) -> tuple[pd.DataFrame | Array, Array]:
    x = raw.x.iloc[rows] if isinstance(raw.x, pd.DataFrame) else raw.x[rows]
    return x, np.asarray(raw.y)[rows]


def _test_rows(raw: RawData, split: Split) -> "tuple[pd.DataFrame | Array, pd.Series[Any] | Array]":
    if raw.official_test is not None:
        return raw.official_test
    if not len(split.test):
        raise DataError(raw.where, "has no test split", "set data.test, such as 0.2")
    return _take(raw, split.test)


def _transform(fitted: Fitted, x: pd.DataFrame | Array, y: "pd.Series[Any] | Array") -> Rows:
    preparation = fitted.preparation
    if isinstance(x, pd.DataFrame):
        if preparation.kind != "table":
            raise DataError("data", "is a table, but the preparation is for images")
        features = preparation.apply(x)
    else:
        if preparation.kind != "image":
            raise DataError("data", "are images, but the preparation is for a table")
        features = preparation.apply(x)
    return Rows(x=torch.from_numpy(features), y=torch.from_numpy(fitted.target.apply(y)))
