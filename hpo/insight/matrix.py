"""Which family, and which optimizer? Best, median and number of trials of every pair."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.records import TrialRecord, ranked
from hpo.words import number

FEW = 5
"""Complete trials below which a cell says little."""
OWN = "its own"
"""The optimizer of a module of the user's own."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The trials of one family with one optimizer."""

    family: str
    optimizer: str
    n: int
    """Complete ones."""
    tried: int
    """All, pruned and failed ones included."""
    best: float | None
    median: float | None
    trial: int | None
    """The number of the best one."""

    @property
    def is_thin(self) -> bool:
        """Whether there are too few complete trials to say much."""
        return self.n < FEW


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Families by optimizers."""

    families: tuple[str, ...]
    optimizers: tuple[str, ...]
    cells: tuple[Cell, ...]
    first: Cell | None
    """The one of the best trial."""
    sentence: str

    def cell(self, family: str, optimizer: str) -> Cell | None:
        """Return a cell, None if no trial is in it."""
        same = [c for c in self.cells if c.family == family and c.optimizer == optimizer]
        return same[0] if same else None


def family_of(record: TrialRecord) -> str:
    """Return the name of a trial's family."""
    return str((record.config.get("model") or {}).get("family", "?"))


def optimizer_of(record: TrialRecord) -> str:
    """Return the name of a trial's optimizer."""
    optimizer = record.config.get("optimizer")
    return str(optimizer.get("name", "?")) if isinstance(optimizer, dict) else OWN


def matrix(records: Sequence[TrialRecord], direction: str) -> Matrix:
    """Return best, median and number of every pair of family and optimizer that was tried."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in records:
        if record.same_as is None:
            groups.setdefault((family_of(record), optimizer_of(record)), []).append(record)
    order = ranked([record for record in records if record.has_rank], direction)
    cells = []
    for (family, optimizer), group in groups.items():
        mine = {record.number for record in group}
        done = [(r.value, r.number) for r in order if r.number in mine and r.value is not None]
        best = done[0] if done else None
        cells.append(
            Cell(
                family=family,
                optimizer=optimizer,
                n=len(done),
                tried=len(group),
                best=best[0] if best else None,
                median=statistics.median(value for value, _ in done) if done else None,
                trial=best[1] if best else None,
            )
        )
    cells.sort(key=lambda cell: (cell.family, cell.optimizer))
    first = next((cell for cell in cells if order and cell.trial == order[0].number), None)
    return Matrix(
        families=tuple(sorted({cell.family for cell in cells})),
        optimizers=tuple(sorted({cell.optimizer for cell in cells})),
        cells=tuple(cells),
        first=first,
        sentence=_sentence(cells, first, direction),
    )


def _sentence(cells: Sequence[Cell], first: Cell | None, direction: str) -> str:
    sign = 1.0 if direction == "maximize" else -1.0
    if first is None:
        return "No trial is complete yet."
    if len(cells) == 1:
        told = f"best {number(first.best)}"
        return f"Only {first.family} with {first.optimizer} was searched: {told}."
    known = [cell for cell in cells if cell.best is not None]
    text = f"The best value is that of {first.family} with {first.optimizer}: {number(first.best)}"
    solid = [cell for cell in known if not cell.is_thin]
    steady = max(solid, key=lambda c: (sign * (c.median or 0.0), c is first), default=None)
    if steady is not None:
        same = steady is first
        told = "it" if same else f"{steady.family} with {steady.optimizer}"
        text += f"; {told} has the best median too" if same else f"; {told} has the best median"
        text += f", {number(steady.median)}"
    thin = sum(cell.is_thin for cell in cells)
    text += (
        f". {thin} of {len(cells)} cells rest on fewer than {FEW} complete trials." if thin else "."
    )
    return text
