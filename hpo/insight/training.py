"""Did training go well? The curves of the best trials over the band of all."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.insight.scores import Curves
from hpo.layout import StudyFolder
from hpo.records import TrialRecord, most_epochs

SHOWN = 5
LATE = 0.9
"""A best epoch in the last tenth of the training: it may still have been rising."""
EARLY = 0.5
"""A best epoch in the first half: the rest of the training was of no use."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """One trial's training, validation by validation."""

    trial: int
    epochs: tuple[float, ...]
    objective: tuple[float, ...]
    train_loss: tuple[float | None, ...]
    val_loss: tuple[float | None, ...]
    best_epoch: float
    stopped_by: str


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where 80 of 100 trials lie, by validation."""

    epochs: tuple[float, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]
    n: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the best trials trained."""

    paths: tuple[Path, ...]
    band: Band | None
    late: int
    """How many of the top trials were best in the last tenth of their epochs."""
    early: int
    """How many in the first half."""
    early_stopped: int
    diverged: int
    """Trials of the study that failed by a loss that is no number."""
    whole: int | None
    """The epochs of a whole run of the best trial."""
    sentence: str


def training(
    folder: StudyFolder,
    best_first: Sequence[TrialRecord],
    records: Sequence[TrialRecord],
    curves: Curves,
) -> Training:
    """Return the training of the first five of ``best_first``, and the band of all."""
    shown = [record for record in best_first if record.run is not None][:SHOWN]
    paths = [_path(folder, record) for record in shown]
    shares = [(p.best_epoch / p.epochs[-1]) for p in paths if p.epochs and p.epochs[-1] > 0]
    whole = most_epochs(shown[0].config) if shown else None
    late = sum(share > LATE for share in shares)
    early = sum(share <= EARLY for share in shares)
    stopped = sum(path.stopped_by == "early_stopping" for path in paths)
    diverged = sum(record.reason == "nan" for record in records)
    return Training(
        paths=tuple(path for path in paths if path.epochs),
        band=_band(curves, paths),
        late=late,
        early=early,
        early_stopped=stopped,
        diverged=diverged,
        whole=whole,
        sentence=_sentence(len(shares), late, early, (stopped, diverged)),
    )


def _path(folder: StudyFolder, record: TrialRecord) -> Path:
    rows = _rows(folder, record.number)
    run = record.run
    return Path(
        trial=record.number,
        epochs=tuple(float(row["epoch"]) for row in rows),
        objective=tuple(float(row["objective"]) for row in rows),
        train_loss=tuple(_maybe(row.get("train/loss")) for row in rows),
        val_loss=tuple(_maybe(row.get("val/loss")) for row in rows),
        best_epoch=run.best_epoch if run else 0.0,
        stopped_by=run.stopped_by if run else "",
    )


def _rows(folder: StudyFolder, trial: int) -> list[Mapping[str, str]]:
    file = folder.trial(trial) / "curve.csv"
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _maybe(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _band(curves: Curves, paths: Sequence[Path]) -> Band | None:
    """Return the 10th, 50th and 90th percentile of all curves, where three or more have a value."""
    longest = max(paths, key=lambda path: len(path.epochs), default=None)
    if longest is None:
        return None
    columns: list[tuple[float, list[float]]] = []
    for place, epoch in enumerate(longest.epochs, start=1):
        values = sorted(curve[place] for curve in curves.values() if place in curve)
        if len(values) >= 3:
            columns.append((epoch, values))
    if not columns:
        return None
    return Band(
        epochs=tuple(epoch for epoch, _ in columns),
        low=tuple(_quantile(values, 0.1) for _, values in columns),
        middle=tuple(_quantile(values, 0.5) for _, values in columns),
        high=tuple(_quantile(values, 0.9) for _, values in columns),
        n=tuple(len(values) for _, values in columns),
    )


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, between the two nearest."""
    place = share * (len(values) - 1)
    lower = int(place)
    upper = min(lower + 1, len(values) - 1)
    return values[lower] + (values[upper] - values[lower]) * (place - lower)


def _sentence(n: int, late: int, early: int, counted: tuple[int, int]) -> str:
    if not n:
        return "No trial is complete yet."
    stopped, diverged = counted
    if n == 1:
        who, found = "The best trial was", "The best trial found its"
    else:
        who, found = "{} of the best " + f"{n} trials were", f"The best {n} trials found their"
    if late > n / 2:
        text = f"{who.format(late)} best in the last tenth of the epochs: more may help"
    elif early > n / 2:
        text = f"{who.format(early)} best in the first half of the epochs: fewer would do"
    else:
        text = f"{found} best epoch before the end: the epochs suffice"
    text += f"; {stopped} stopped early" if stopped else ""
    return text + (f"; {diverged} of all trials diverged." if diverged else ".")
