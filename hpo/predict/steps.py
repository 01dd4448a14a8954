"""The window at the end of a series, from which its next steps are predicted."""

import numpy as np
import pandas as pd

from hpo.errors import DataError
from hpo.predict.values import number_column, typed_columns
from lightning_modules.data.dates import moments_of
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array


def last_window(fitted: Fitted, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the last steps of a series in their order: ``window`` rows, the predicted column too.

    Args:
        fitted: with the model.
        frame: the series, with columns that `hpo.predict.header.check_columns` took.
        where: the file.

    Raises:
        DataError: if there are too few rows, or a value does not fit its column or is missing.
    """
    preparation = fitted.preparation
    if not isinstance(preparation, WindowPreparation) or fitted.target.kind != "number":
        raise TypeError("the model predicts no series")
    if len(frame) < preparation.window:
        rows = "1 row" if len(frame) == 1 else f"{len(frame)} rows"
        what = f"has {rows}, but the model looks at the last {preparation.window}"
        raise DataError(where, what, "give at least as many")
    kept = _order(preparation, frame, where)[-preparation.window :]
    others = typed_columns(preparation.others.columns, frame, where, 0).iloc[kept]
    values = number_column(frame[preparation.target], preparation.target, where, 0)[kept]
    if np.isnan(values).any():
        row = int(kept[np.isnan(values).argmax()]) + 1
        what = f"column {preparation.target!r} has no value in row {row}"
        raise DataError(where, what, "complete it: it is among the last steps")
    return others.reset_index(drop=True).assign(**{preparation.target: values})


def _order(preparation: WindowPreparation, frame: pd.DataFrame, where: str) -> Array:
    """Return the numbers of the rows in the order of their moments."""
    name = preparation.time
    if name is None:
        return np.arange(len(frame))
    if preparation.time_order is None:
        times = number_column(frame[name], name, where, 0)
        missing = np.isnan(times)
    else:
        moments = moments_of(frame[name], preparation.time_order)
        times, missing = moments.to_numpy().astype(np.int64), np.asarray(moments.isna())
    if missing.any():
        row = int(missing.argmax())
        what = f"column {name!r} has no moment in row {row + 1}: {frame[name].iloc[row]!r}"
        raise DataError(where, what, "correct it: it says in which order the steps came")
    return np.argsort(times, kind="stable")
