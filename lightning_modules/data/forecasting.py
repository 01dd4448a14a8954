"""Windows over a series: what was, and the steps that follow, cut by time."""

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_modules.data.columnwise import taken
from lightning_modules.data.dates import Order
from lightning_modules.data.raw import RawData
from lightning_modules.data.split import Split, split_by_time
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.errors import DataError
from lightning_modules.settings import Settings
from lightning_modules.task import ForecastingConfig

Floats = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int64]


class WindowPreparation(Settings):
    """What a series is predicted from: its own last ``window`` steps, and those of ``others``.

    The first channel is the predicted column itself, scaled as a target is; the others follow.
    ``time`` is the column of moments that orders the rows, if there is one; ``time_order`` is of
    the parts of its dates, None of numbers.
    """

    kind: Literal["window"] = "window"
    target: str
    time: str | None = None
    time_order: Order | None = None
    others: TablePreparation
    window: int
    horizon: int

    def channels(self, x: pd.DataFrame, scaled: Floats) -> Floats:
        """Return the channels of consecutive steps, ``(steps, channels)``.

        Args:
            x: the other columns, ``(steps, columns)``.
            scaled: the predicted column, scaled, ``(steps,)``.

        Raises:
            DataError: if the columns are others than in training, or a number is infinite.
        """
        return np.concatenate([scaled[:, None], self.others.apply(x)], axis=1)


def series_of(raw: RawData) -> RawData:
    """Return a series in the order of its moments; without moments in that of its rows.

    Raises:
        DataError: if it is no table; brings a test split of its own; or two rows are of one moment.
    """
    if not isinstance(raw.x, pd.DataFrame):
        what = f"holds {raw.x.dtype} of shape {raw.x.shape}, no series"
        raise DataError(raw.where, what, "forecasting takes a table, or features (steps, features)")
    if raw.official_test is not None:
        what = "brings a test split, but a series is cut by time"
        raise DataError(raw.where, what, "give one series; its last steps are the test split")
    if raw.times is None:
        return raw
    order = np.argsort(raw.times, kind="stable")
    equal = np.diff(raw.times[order]) == 0
    if equal.any():
        at = int(equal.argmax())
        first, second = sorted(raw.place(int(row)) for row in order[at : at + 2])
        what = f"{first} and {second} are of the same moment"
        raise DataError(raw.where, what, "a series has one row for each moment")
    return replace(
        raw,
        x=taken(raw.x, order),
        y=np.asarray(raw.y)[order],
        times=raw.times[order],
    )


def split_steps(
    n_steps: int, *, validation: float, test: float | None, task: ForecastingConfig
) -> Split:
    """Cut consecutive steps by time: the earliest train, then validation, the latest test.

    Raises:
        DataError: if the shares leave no training rows, or a split is shorter than it must be.
    """
    split = split_by_time(np.arange(n_steps), validation=validation, test=test)
    for name, steps, least, why in (
        ("training", split.train, task.window + task.horizon, "task.window and task.horizon"),
        ("validation", split.validation, task.horizon, "task.horizon"),
        ("test", split.test, task.horizon, "task.horizon"),
    ):
        if len(steps) < least and (name != "test" or test is not None):
            what = f"{n_steps} steps leave {len(steps)} for {name}; {why} need {least}"
            raise DataError("data", what, "lower them, or change data.validation and data.test")
    return split


def first_steps(steps: Steps, task: ForecastingConfig) -> Steps:
    """Return where each sample's prediction begins, whose steps all lie in ``steps``.

    The window before it may reach back behind them: that is the past.

    >>> first_steps(np.arange(6, 10), ForecastingConfig(window=3, horizon=2)).tolist()
    [6, 7, 8]
    >>> first_steps(np.arange(0, 6), ForecastingConfig(window=3, horizon=2)).tolist()
    [3, 4]
    """
    first, last = int(steps[0]), int(steps[-1])
    return np.arange(max(first, task.window), last + 2 - task.horizon)


def windows(
    channels: Floats, scaled: Floats, starts: Steps, task: ForecastingConfig
) -> tuple[Floats, Floats]:
    """Return inputs ``(rows, window, channels)`` and targets of predictions that begin at starts.

    Targets are ``(rows, horizon)``, of a horizon of one step ``(rows,)``. Both are views of the
    series: it is in memory once, however long the window.

    Args:
        channels: of all steps, ``(steps, channels)``.
        scaled: the predicted column, ``(steps,)``.
        starts: where predictions begin, one after the other, ``(rows,)``.
        task: window and horizon.
    """
    first, last = int(starts[0]), int(starts[-1])
    past = _windows(channels[first - task.window : last], task.window)
    future = _windows(scaled[first : last + task.horizon], task.horizon)
    return past.transpose(0, 2, 1), future[:, 0] if task.horizon == 1 else future


def _windows(steps: Floats, length: int) -> Floats:
    # torch wants to be allowed to write, though nobody does.
    return np.lib.stride_tricks.sliding_window_view(steps, length, axis=0, writeable=True)
