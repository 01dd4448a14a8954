"""A model file held against the checkpoint that it was made of, on rows of the data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpo.errors import RefusedError
from hpo.predict.predictor import Floats, Predictor, Raw
from lightning_modules.data.frames import Array

ROWS = 500
"""How many rows are predicted by both, if there are as many."""
ALLOWED = 1e-5
"""How far apart probabilities may be; numbers, in standard deviations of the target."""
STEPS = 4
"""Or so many steps of float32: numbers far from 0 are not told apart by less."""
SMALLER = (1, 7)
"""Batches that are compared too: the number of rows is the caller's."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How far a file is from its checkpoint at most."""

    n_rows: int
    difference: float
    """Of probabilities; of numbers in standard deviations of the target."""
    unit: str
    """Of the difference, in words."""


def compare(
    exported: Callable[[Raw], Floats],
    checkpoint: Predictor,
    raw: Raw,
    *,
    deviations: Array | None,
    window: int = 1,
) -> Compared:
    """Predict the same rows by both, all at once and in smaller batches.

    Args:
        exported: the file.
        checkpoint: what it was made of.
        raw: rows before preparation.
        deviations: the standard deviation of each number that is predicted.
        window: rows of ``raw`` that are one row of a series.

    Raises:
        RefusedError: if they differ by more than is allowed; nothing is to be written then.
    """
    expected = checkpoint.outputs(raw)
    found = exported(raw)
    unit = "" if deviations is None else " sd of the target"
    largest, beyond = _apart(found, expected, deviations)
    for n_rows in SMALLER:
        if n_rows < len(expected):
            part = exported(_first(raw, n_rows * window))
            off, over = _apart(part, expected[:n_rows], deviations)
            largest, beyond = max(largest, off), beyond or over
    if beyond:
        what = f"differs from its checkpoint by {largest:.1e}{unit} on {len(expected)} rows"
        hint = f"nothing was written; at most {ALLOWED:g}{unit} is allowed"
        raise RefusedError("the exported file", what, hint)
    return Compared(n_rows=len(expected), difference=largest, unit=unit)


def _apart(found: Floats, expected: Floats, deviations: Array | None) -> tuple[float, bool]:
    """Return the largest difference, and whether one is more than is allowed."""
    if found.shape != expected.shape:
        return float("inf"), True
    ours, theirs = found.astype(np.float64), expected.astype(np.float64)
    scale = np.ones(1) if deviations is None else deviations.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(found == expected, 0.0, np.abs(ours - theirs))
    apart = np.where(np.isnan(ours) & np.isnan(theirs), 0.0, apart)
    apart = np.where(np.isnan(apart), np.inf, apart)
    steps = STEPS * np.spacing(np.abs(expected)).astype(np.float64)
    allowed = np.maximum(ALLOWED * scale, steps if deviations is not None else 0.0)
    relative = apart / scale
    return float(relative.max(initial=0.0)), bool((apart > allowed).any())


def _first(raw: Raw, n_rows: int) -> Raw:
    return raw.iloc[:n_rows] if isinstance(raw, pd.DataFrame) else raw[:n_rows]


def words(compared: Compared, split: str, smaller: Sequence[int]) -> str:
    """Return what was compared, and how far apart it was.

    >>> words(Compared(n_rows=500, difference=1.2e-7, unit=""), "validation", (1, 7))
    'compared with its checkpoint on 500 rows of validation, 1 and 7 of them alone too: at most \
1.2e-07 apart'
    """
    rows = "1 row" if compared.n_rows == 1 else f"{compared.n_rows:,} rows"
    parts = [str(n_rows) for n_rows in smaller if n_rows < compared.n_rows]
    also = f", {' and '.join(parts)} of them alone too" if parts else ""
    return (
        f"compared with its checkpoint on {rows} of {split}{also}: at most "
        f"{compared.difference:.1e}{compared.unit} apart"
    )
