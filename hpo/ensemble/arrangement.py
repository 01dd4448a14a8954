"""Which rows belong together: how they are cut into parts, and drawn again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hpo.errors import DataError, StudyError
from hpo.ship.combined import Floats
from lightning_modules.data.folds import fold_groups, make_folds
from lightning_modules.data.frames import Array
from lightning_modules.data.split import Split
from lightning_modules.seeds import derive
from lightning_modules.task import CLASSIFICATION

PARTS = 5
Rows: TypeAlias = npt.NDArray[np.int64]
Together: TypeAlias = Literal["rows", "groups", "time"]
Draw: TypeAlias = Callable[[np.random.Generator], npt.NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows that are held out, and those by which is chosen what they score."""

    chosen_by: Rows
    held_out: Rows


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Which unit each row is of: rows of one unit are never cut.

    ``kept_together`` says what units are: equal ``rows``, ``groups`` of a column's values, or
    moments of ``time``, numbered in their order. Of time, what is held out is one stretch, and no
    unit within ``gap`` of it is chosen by: forecasts that begin so near share some of their steps.
    """

    units: Rows
    kept_together: Together
    gap: int = 0

    @property
    def n_units(self) -> int:
        """How many units there are; they are numbered from 0."""
        return int(self.units.max()) + 1

    @property
    def even(self) -> bool:
        """Whether every unit is one row, so that drawn units are as many rows."""
        return self.n_units == len(self.units)

    def draw(self) -> Draw:
        """Return what draws how often each row counts in a resample, ``(rows,)``.

        Units are drawn with replacement; of time, stretches of ``gap + 1`` of them, at most a
        tenth, in a circle (Politis and Romano, 1992).
        """
        n = self.n_units
        block = min(self.gap + 1, max(1, n // 10)) if self.kept_together == "time" else 1

        def drawn(generator: np.random.Generator) -> npt.NDArray[np.float64]:
            starts = generator.integers(0, n, -(-n // block))
            places = ((starts[:, None] + np.arange(block)) % n).reshape(-1)[:n]
            return np.bincount(places, minlength=n).astype(np.float64)[self.units]

        return drawn


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Outputs of the candidates on the rows that judge them, and what was right.

    ``parts`` are ``(candidates, rows, …)`` as metrics take them; of folds each row is predicted by
    the network of the fold that did not train on it.
    """

    parts: Floats
    targets: Array
    arrangement: Arrangement


def parts_of(
    arrangement: Arrangement, targets: Array, kind: str, *, study: str, seed: int
) -> list[Part]:
    """Cut rows into parts, each of which is held out once.

    Classes have their share of every part, where single rows are dealt out.

    Args:
        arrangement: what is never cut.
        targets: class numbers ``(rows,)`` of a classification; of others their length counts.
        kind: of the task.
        study: its name, for errors.
        seed: decides which rows go where.

    Raises:
        StudyError: if there are too few rows.
    """
    n_parts = min(PARTS, arrangement.n_units)
    if n_parts < 2:
        what = f"{len(targets)} rows in {arrangement.n_units} groups cannot be cut in two"
        raise StudyError(study, what, "an ensemble is chosen on some rows and scored on others")
    if arrangement.kept_together == "time":
        parts = _stretches(arrangement, n_parts)
    else:
        parts = _dealt(arrangement, targets, kind, n_parts, seed)
    if any(len(part.chosen_by) == 0 for part in parts):
        what = f"{arrangement.n_units} moments are too few to choose by some and score on others"
        raise StudyError(study, what, "raise data.validation, or lower task.horizon")
    return parts


def _dealt(
    arrangement: Arrangement, targets: Array, kind: str, n_parts: int, seed: int
) -> list[Part]:
    chosen: dict[str, Any] = {"n_folds": n_parts, "test": None, "seed": derive(seed, "parts")}

    def cut(fold: int, *, whole: bool) -> Split:
        if whole:
            return fold_groups(arrangement.units, fold=fold, **chosen)
        stratify = kind in CLASSIFICATION
        return make_folds(targets, arrangement.units, fold=fold, stratify=stratify, **chosen)

    whole = arrangement.kept_together == "groups"
    try:
        splits = [cut(fold, whole=whole) for fold in range(n_parts)]
    except DataError:  # so many equal rows that a part would have none
        splits = [cut(fold, whole=True) for fold in range(n_parts)]
    return [Part(chosen_by=split.train, held_out=split.validation) for split in splits]


def _stretches(arrangement: Arrangement, n_parts: int) -> list[Part]:
    units, parts = arrangement.units, []
    for held in np.array_split(np.arange(arrangement.n_units), n_parts):
        first, last = int(held[0]), int(held[-1])
        near = (units >= first - arrangement.gap) & (units <= last + arrangement.gap)
        out = (units >= first) & (units <= last)
        parts.append(Part(chosen_by=np.flatnonzero(~near), held_out=np.flatnonzero(out)))
    return parts
