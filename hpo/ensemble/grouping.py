"""Which rows of a split must stay together when some are held out, or drawn again."""

from typing import Any, Literal, TypeAlias

import numpy as np

from hpo.ensemble.arrangement import Arrangement, Rows
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SourceConfig
from lightning_modules.data.prepared import PreparedData
from lightning_modules.data.raw import load
from lightning_modules.data.repeats import connected, cut, equal_rows
from lightning_modules.task import ForecastingConfig

Split: TypeAlias = Literal["validation", "test"]


def arrange(config: RunConfig, data: PreparedData, *, split: Split = "validation") -> Arrangement:
    """Return how the rows of a split belong together.

    Rows that are equal to the network stay together. So do those of one group, where the split is
    grouped; and where time decides it, what follows in time: that of a series are forecasts that
    share steps. Groups and times are no part of prepared data, and are read anew.
    """
    rows = data.validation if split == "validation" else data.test
    if rows is None:
        raise TypeError("the test rows were not prepared")
    if isinstance(config.task, ForecastingConfig):
        steps = np.arange(len(rows.y), dtype=np.int64)
        return Arrangement(units=steps, kept_together="time", gap=config.task.horizon - 1)
    equal = equal_rows(rows.x.numpy())
    way: Any = getattr(config.data, "split", None)
    if not isinstance(config.data, SourceConfig) or way not in ("grouped", "time"):
        return Arrangement(units=equal, kept_together="rows")
    kind = str(config.kind)
    found = cut(load(config.data, task_kind=kind), config.data, task_kind=kind)
    numbers = getattr(found.split, split)
    if len(numbers) != len(equal):  # a test split that the source brings along
        return Arrangement(units=equal, kept_together="rows")
    if found.raw.times is not None:
        return Arrangement(units=_numbered(found.raw.times[numbers]), kept_together="time")
    if found.raw.groups is None:
        raise TypeError("a grouped split has groups")
    groups = connected(_numbered(found.raw.groups[numbers]), equal)
    return Arrangement(units=groups, kept_together="groups")


def _numbered(values: Any) -> Rows:
    """Return the place of each value among those that there are, in their order."""
    return np.asarray(np.unique(values, return_inverse=True)[1].reshape(-1), dtype=np.int64)
