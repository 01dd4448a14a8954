"""Pieces of an input: some rows with the types of training, and columns copied through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd

from hpo.predict.predictor import Raw
from lightning_modules.data.frames import Array

Column: TypeAlias = "Array | pd.Series[Any] | pd.Categorical[Any]"
VALUES = 1_000_000
"""Values that are in memory at a time, in rows of the input."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some consecutive rows of an input."""

    raw: Raw
    kept: Mapping[str, Column] = field(default_factory=dict)
    """Columns that are copied through, ``(rows,)`` each."""
    share: float | None = None
    """How much of the input is read by now; None if its size is unknown."""
