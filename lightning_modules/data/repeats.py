"""Rows that repeat others, and the split in which no row stands twice in different places."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_modules.data.columnwise import taken
from lightning_modules.data.config import SourceConfig
from lightning_modules.data.folds import fold_groups, make_folds
from lightning_modules.data.frames import Array
from lightning_modules.data.kinds import marks_of
from lightning_modules.data.raw import RawData
from lightning_modules.data.split import (
    Split,
    keep_together,
    make_split,
    split_by_time,
    split_groups,
)
from lightning_modules.task import CLASSIFICATION

Rows = npt.NDArray[np.int64]
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Rows and their split; ``n_repeats`` counts rows whose features an earlier row has."""

    raw: RawData
    split: Split
    n_repeats: int


def cut(raw: RawData, config: SourceConfig, *, task_kind: str) -> Cut:
    """Drop repeated rows if that is asked, and split the others as ``config`` says.

    Rows of equal features never stand in two splits, but where time decides: what comes again
    later is a new row there.

    Raises:
        DataError: if a split is left without rows.
    """
    groups = equal_rows(raw.x)
    n_repeats = len(groups) - 1 - int(groups.max())
    if n_repeats and config.duplicates == "drop":
        raw = _without_repeats(raw, groups)
        groups = equal_rows(raw.x)
    shares: dict[str, Any] = {
        "validation": config.validation,
        "test": None if raw.official_test is not None else config.test,
    }
    seed, stratify = config.split_seed, task_kind in CLASSIFICATION and config.split != "random"
    if config.folds is not None:
        return Cut(raw=raw, split=_fold(raw, config, groups, stratify), n_repeats=n_repeats)
    if raw.times is not None:
        split = split_by_time(raw.times, **shares)
    elif raw.groups is not None:
        split = split_groups(connected(raw.groups, groups), seed=seed, **shares)
    else:
        y = np.asarray(raw.y)
        split = make_split(y, seed=seed, stratify=stratify, **shares)
        if int(groups.max()) + 1 < len(groups):
            split = keep_together(split, groups, y, stratify=stratify)
    return Cut(raw=raw, split=split, n_repeats=n_repeats)


def _fold(raw: RawData, config: SourceConfig, groups: Rows, stratify: bool) -> Split:
    """Return the split of the config's fold, of the first where it trains all of them."""
    chosen: dict[str, Any] = {
        "n_folds": config.folds,
        "fold": config.fold or 0,
        "test": None if raw.official_test is not None else config.test,
        "seed": config.split_seed,
    }
    if raw.groups is not None:
        return fold_groups(connected(raw.groups, groups), **chosen)
    return make_folds(np.asarray(raw.y), groups, stratify=stratify, **chosen)


def equal_rows(x: "pd.DataFrame | Array") -> Rows:
    """Return a number for each row, the same for rows of equal features, ``(rows,)``.

    >>> equal_rows(pd.DataFrame({"a": [1.0, 2.0, 1.0], "b": ["x", None, "x"]})).tolist()
    [0, 1, 0]
    """
    if not isinstance(x, pd.DataFrame):
        return np.asarray(pd.factorize(marks_of(x))[0], dtype=np.int64)
    marks: npt.NDArray[np.uint64] = np.zeros(len(x), dtype=np.uint64)
    for i in range(x.shape[1]):
        column = x.iloc[:, i]
        plain = column + 0.0 if column.dtype.kind == "f" else column  # -0.0 becomes 0.0
        hashes = pd.util.hash_pandas_object(plain, index=False).to_numpy(dtype=np.uint64)
        marks = np.add(np.multiply(marks, _ODD), hashes)
    return np.asarray(pd.factorize(marks)[0], dtype=np.int64)


def connected(first: Rows, second: Rows) -> Rows:
    """Return numbers for rows, the same where either numbering joins them by any chain.

    >>> connected(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    parent = np.arange(int(first.max()) + 1)

    def root(group: int) -> int:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = int(parent[group])
        return group

    leaders = first[np.unique(second, return_index=True)[1]][second]
    for one, other in np.unique(np.stack([first, leaders], axis=1), axis=0):
        parent[root(int(one))] = root(int(other))
    roots = np.array([root(group) for group in range(len(parent))])
    return np.asarray(pd.factorize(roots[first])[0], dtype=np.int64)


def _without_repeats(raw: RawData, groups: Rows) -> RawData:
    """Return the rows but those whose features and target an earlier row has."""
    y = np.asarray(raw.y)
    targets = pd.factorize(y)[0] if y.ndim == 1 else equal_rows(y)
    kept = np.flatnonzero(~pd.DataFrame({"x": groups, "y": targets}).duplicated().to_numpy())
    return replace(
        raw,
        x=taken(raw.x, kept),
        y=np.asarray(raw.y)[kept],
        groups=None if raw.groups is None else pd.factorize(raw.groups[kept])[0].astype(np.int64),
        times=None if raw.times is None else raw.times[kept],
    )
