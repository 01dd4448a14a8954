"""Raw rows of the data that a model was trained on: to compare by, and to describe."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpo.errors import DataError, RefusedError, UsageError
from hpo.predict.predictor import Raw
from lightning_modules.config import RunConfig
from lightning_modules.data.columnwise import taken
from lightning_modules.data.config import SourceConfig
from lightning_modules.data.fingerprint import fingerprint_data, fingerprint_split
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import (
    WindowPreparation,
    first_steps,
    series_of,
    split_steps,
)
from lightning_modules.data.frames import Array, as_frame
from lightning_modules.data.raw import RawData, load
from lightning_modules.data.repeats import cut
from lightning_modules.data.split import Rows, Split
from lightning_modules.task import ForecastingConfig

MOST_VALUES = 2**26
"""Of the rows that are in memory to be described."""
_WHERE = "say where the data are with --set data.path=…: the file is compared on their rows"


@dataclass(frozen=True, kw_only=True)
class Data:
    """The data of a run before preparation, cut as they were for its training."""

    raw: RawData
    split: Split
    hashes: dict[str, str]
    window: WindowPreparation | None
    """Of a series."""
    task: ForecastingConfig | None

    def places(self, part: str) -> Rows:
        """Return where the rows of ``train`` or ``validation`` are, of a series its windows."""
        rows = self.split.train if part == "train" else self.split.validation
        return rows if self.task is None else first_steps(rows, self.task)

    @property
    def n_rows(self) -> dict[str, int]:
        """How many rows each split has, of a series how many windows."""
        official = self.raw.official_test
        test = len(self.split.test) if official is None else len(official[1])
        if self.task is not None and test:
            test = len(first_steps(self.split.test, self.task))
        found = {
            "training": len(self.places("train")),
            "validation": len(self.places("validation")),
        }
        return found | ({"test": test} if test else {})

    def rows(self, places: Rows) -> Raw:
        """Return rows as `Raw` describes them."""
        if self.window is None:
            rows = taken(self.raw.x, places)
            return as_frame(rows) if isinstance(rows, pd.DataFrame) or rows.ndim == 2 else rows
        steps = (places[:, None] - self.window.window + np.arange(self.window.window)).reshape(-1)
        frame = as_frame(self.raw.x).iloc[steps].reset_index(drop=True)
        values = np.asarray(self.raw.y, dtype=np.float64)[steps]
        return frame.assign(**{self.window.target: values})

    def deviations(self) -> Array:
        """Return the standard deviation of each target of the training rows, 1 of a constant."""
        values = np.asarray(self.raw.y, dtype=np.float64)[self.split.train]
        spread = np.atleast_1d(values.std(axis=0))
        return np.where(spread > 0, spread, 1.0)


def open_rows(config: RunConfig, fitted: Fitted, *, recorded: Mapping[str, str | None]) -> Data:
    """Read the data of a run.

    Args:
        config: the run, its data found on this machine.
        fitted: with its model.
        recorded: ``data_sha256`` and ``split_sha256`` of its training, as far as they are known.

    Raises:
        UsageError: if they cannot be read here.
        RefusedError: if they are other data than those of the training.
    """
    if not isinstance(config.data, SourceConfig):
        raise TypeError("a model with a preparation of ours is of a source of ours")
    kind, preparation = str(config.kind), fitted.preparation
    try:
        raw = load(config.data, task_kind=kind)
        if isinstance(preparation, WindowPreparation):
            raw, ahead = series_of(raw), _ahead(config)
            shares = config.data
            split = split_steps(
                len(raw.y), validation=shares.validation, test=shares.test, task=ahead
            )
            data = _data(raw, split, preparation, ahead)
        else:
            found = cut(raw, config.data, task_kind=kind)
            data = _data(found.raw, found.split, None, None)
    except DataError as error:
        raise UsageError(error.where, error.what, f"{error.hint}; {_WHERE}".lstrip("; ")) from None
    changed = [
        f"{name}: {found} instead of {recorded[name]}"
        for name, found in data.hashes.items()
        if recorded.get(name) not in (None, found)
    ]
    if changed:
        what = "these are not the data that it was trained on:\n  " + "\n  ".join(changed)
        raise RefusedError(raw.where, what, "restore them, or train it again on these")
    return data


def _ahead(config: RunConfig) -> ForecastingConfig:
    if not isinstance(config.task, ForecastingConfig):
        raise TypeError("a series is of a forecasting task")
    return config.task


def _data(
    raw: RawData, split: Split, window: WindowPreparation | None, task: ForecastingConfig | None
) -> Data:
    hashes = {"data_sha256": fingerprint_data(raw), "split_sha256": fingerprint_split(split)}
    return Data(raw=raw, split=split, hashes=hashes, window=window, task=task)


def spread(places: Rows, raw: RawData, n_most: int) -> Rows:
    """Return at most so many places, evenly spread; fewer where rows are large images."""
    if not isinstance(raw.x, pd.DataFrame) and raw.x.dtype != object:
        n_most = max(1, min(n_most, MOST_VALUES // max(1, int(np.prod(raw.x.shape[1:])))))
    if len(places) <= n_most:
        return places
    return places[np.linspace(0, len(places) - 1, n_most).astype(np.int64)]
