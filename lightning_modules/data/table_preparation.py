"""Turn the columns of a table into float32 features, by statistics of the training rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from lightning_modules.data.columns import Column
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.dates import Order
from lightning_modules.data.fitting import fit_column
from lightning_modules.data.frames import Array, as_frame
from lightning_modules.data.large import empty
from lightning_modules.data.rounding import to_float32
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings

_CHUNK_VALUES = 2**24


def _is_off(value: object) -> bool:
    """Say whether something is not used, which the record then leaves out."""
    return value is None


class Components(Settings):
    """Principal components: what is subtracted from each feature, and each component's weights."""

    mean: list[float]
    weights: list[list[float]]

    def apply(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``(rows, features)`` as ``(rows, components)``."""
        return to_float32((features - np.array(self.mean)) @ np.array(self.weights).T)


class TablePreparation(Settings):
    """The fitted columns of a table, in the order of their features, and their components."""

    kind: Literal["table"] = "table"
    columns: list[Column]
    pca: Components | None = Field(None, exclude_if=_is_off)

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature, in order."""
        if self.pca is not None:
            return [f"component {i + 1}" for i in range(len(self.pca.weights))]
        return [name for column in self.columns for name in column.feature_names]

    @property
    def n_features(self) -> int:
        """How many features a row becomes."""
        return len(self.feature_names)

    def apply(self, frame: "pd.DataFrame | Array") -> npt.NDArray[np.float32]:
        """Return the features ``(rows, features)``; columns are found by name, in any order.

        An array ``(rows, columns)`` has the columns x0, x1, .... NaN and infinity never come out.

        Raises:
            DataError: if a column is missing or not expected, or a number is none or infinite.
        """
        table = as_frame(frame)
        names = [column.name for column in self.columns]
        self._check_names([str(name) for name in table.columns], names)
        table = table.set_axis([str(name) for name in table.columns], axis=1)
        features = _features(self.columns, table)
        return features if self.pca is None else self.pca.apply(features)

    @staticmethod
    def _check_names(given: Sequence[str], expected: Sequence[str]) -> None:
        found, wanted = set(given), set(expected)
        missing = [name for name in expected if name not in found]
        extra = [name for name in given if name not in wanted]
        if len(found) < len(given):
            raise DataError("data", "a column name stands twice", f"expected: {_names(expected)}")
        if missing or extra:
            what = [f"columns missing: {_names(missing)}"] if missing else []
            what += [f"columns not expected: {_names(extra)}"] if extra else []
            raise DataError("data", ", ".join(what), f"expected: {_names(expected)}")


def fit_table(
    raw_x_train: "pd.DataFrame | Array", config: PrepareConfig, orders: Mapping[str, Order]
) -> TablePreparation:
    """Fit on training rows alone; ``orders`` are of the parts in the dates of each column.

    Raises:
        DataError: if a setting changes nothing here, or there are fewer features than components.
    """
    table = as_frame(raw_x_train)
    table = table.set_axis([str(name) for name in table.columns], axis=1)
    columns = [
        fit_column(table[name], name, config, order=orders.get(name, "ymd"))
        for name in map(str, table.columns)
    ]
    _check_effect(columns, config)
    pca = None if config.pca is None else _fit_components(_features(columns, table), config.pca)
    return TablePreparation(columns=columns, pca=pca)


def _features(columns: Sequence[Column], table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Return the features, which may be large: some rows of all columns at a time."""
    n_features = sum(len(column.feature_names) for column in columns)
    features: npt.NDArray[np.float32] = empty((len(table), n_features), np.float32)
    step = max(1, _CHUNK_VALUES // max(1, n_features))
    for start in range(0, len(table), step):
        rows, at = slice(start, start + step), 0
        for column in columns:
            block = _block(column, table[column.name], rows)
            features[rows, at : at + block.shape[1]] = block
            at += block.shape[1]
    return features


def _block(column: Column, values: "pd.Series[Any]", rows: slice) -> npt.NDArray[np.float32]:
    try:
        return column.apply(values.iloc[rows])
    except DataError:
        column.apply(values)  # fails too, and counts the row among all
        raise


def _fit_components(features: npt.NDArray[np.float32], wanted: float) -> Components:
    """Return components of the most variance; the largest weight of each is positive.

    All features are in memory for it, thrice as float64: a part of them would have others.
    """
    n_most = min(features.shape)
    if wanted >= 1 and wanted > n_most:
        what = f"{wanted:g} components are more than {n_most}, the lesser of features and rows"
        raise DataError("data.prepare.pca", what, "lower it")
    mean = features.mean(axis=0, dtype=np.float64)
    _, sizes, weights = np.linalg.svd(features - mean, full_matrices=False)
    shares = np.cumsum(np.square(sizes)) / (np.square(sizes).sum() or 1.0)
    n = int(wanted) if wanted >= 1 else int((shares < wanted - 1e-12).sum()) + 1
    kept = weights[: min(n, n_most)]
    largest = np.take_along_axis(kept, np.abs(kept).argmax(axis=1)[:, None], axis=1)
    return Components(mean=mean.tolist(), weights=(kept * np.sign(largest)).tolist())


def _check_effect(columns: Sequence[Column], config: PrepareConfig) -> None:
    """Refuse settings that change nothing in these columns."""
    kinds = {column.kind for column in columns}
    if config.indicator and not any(column.indicator for column in columns):
        raise DataError("data.prepare.indicator", "no training row misses a value", "remove it")
    if config.clip is not None and kinds == {"category"}:
        raise DataError("data.prepare.clip", "no column holds numbers", "remove it")
    if config.rare is not None and "category" not in kinds:
        raise DataError("data.prepare.rare", "no column holds categories", "remove it")


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
