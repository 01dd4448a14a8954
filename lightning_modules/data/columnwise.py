"""Tables that may be larger than memory: all their columns lie in one array."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_modules.data.frames import Array
from lightning_modules.data.large import chosen, empty

BLOCK_VALUES = 2**22
"""Values that are read at a time, but at least one column."""
Values: TypeAlias = "Array | pd.Categorical[Any]"


def blocks_of(names: Sequence[str], n_rows: int) -> Iterator[list[str]]:
    """Yield the names of columns that are read together."""
    n_most = max(1, BLOCK_VALUES // max(1, n_rows))
    for start in range(0, len(names), n_most):
        yield list(names[start : start + n_most])


def laid_out(
    columns: Iterable[tuple[str, "pd.Series[Any]"]], *, n_columns: int, n_rows: int
) -> pd.DataFrame:
    """Return columns of numbers, text and moments as a table; one at a time is in memory.

    Text becomes categories: their numbers lie in the array, each different text is in memory once.

    Args:
        columns: names and values, ``(rows,)``: float64, text as objects or categories, moments.
        n_columns: how many.
        n_rows: of each.
    """
    held = empty((n_columns, n_rows), np.float64)
    found = {
        name: _laid(column, place) for place, (name, column) in zip(held, columns, strict=True)
    }
    return pd.DataFrame(found, index=pd.RangeIndex(n_rows), copy=False)


def taken(x: "pd.DataFrame | Array", rows: npt.NDArray[np.int64]) -> "pd.DataFrame | Array":
    """Return a copy of some rows of a table or an array, that may be large."""
    if not isinstance(x, pd.DataFrame):
        return chosen(x, rows)
    columns = ((str(name), x.iloc[:, i].iloc[rows]) for i, name in enumerate(x.columns))
    return laid_out(columns, n_columns=x.shape[1], n_rows=len(rows))


def _laid(column: "pd.Series[Any]", place: Array) -> Values:
    """Put values, none wider than a float64, into the array; return them as they lie there."""
    if column.dtype == object:
        texts = column.to_numpy()
        distinct = pd.Index(pd.factorize(texts)[1], dtype=object)
        column = pd.Series(pd.Categorical(texts, categories=distinct))
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = _copied(column.cat.codes.to_numpy(), place)
        return pd.Categorical.from_codes(cast("Sequence[int]", codes), dtype=column.dtype)
    return _copied(column.to_numpy(), place)


def _copied(values: Array, place: Array) -> Array:
    out: Array = place.view(values.dtype)[: len(values)]
    out[:] = values
    return out
