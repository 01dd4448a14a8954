"""What the index shows of a study, from its tables alone; read again when one of them changes."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.best import BestConfig
from hpo.errors import HpoError
from hpo.layout import StudyFolder, find_studies
from hpo.order import About, read_about
from hpo.records import Fingerprint, Progress, Read, read_sound

STATES = ("complete", "pruned", "failed")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A trial, as the leaderboard has it."""

    rank: int | None
    number: int
    state: str
    reason: str
    value: float | None
    epochs: float
    n_parameters: int | None
    latency_ms: float | None
    seconds: float
    notes: str
    params: dict[str, str]
    """What was decided for it, as the table writes it."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A study, without the records of its trials."""

    folder: StudyFolder
    metric: str
    rows: Sequence[Row]
    """Best first."""
    best: BestConfig | None
    created_utc: str
    progress: Progress
    about: About
    damaged: Sequence[str]

    @property
    def name(self) -> str:
        """The study's name."""
        return self.folder.name

    @property
    def direction(self) -> str | None:
        """Of better values, where a trial is complete."""
        return self.best.metric["direction"] if self.best else None

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        states = [row.state for row in self.rows]
        return {state: states.count(state) for state in STATES}

    @property
    def value(self) -> float | None:
        """The best config's value: over seeds if it was evaluated, else of its one training."""
        if self.best is None:
            return None
        seeds = self.best.metric.get("seeds")
        return seeds["mean"] if seeds else self.best.metric["value"]

    @property
    def decided(self) -> dict[str, str]:
        """What was decided for the best config."""
        number = self.best.study["trial"] if self.best else None
        return next((row.params for row in self.rows if row.number == number), {})

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds."""
        seeds = self.best.metric.get("seeds") if self.best else None
        return seeds["sd"] if seeds else None

    @property
    def n_seeds(self) -> int:
        """How many seeds the value is of."""
        seeds = self.best.metric.get("seeds") if self.best else None
        return len(seeds["values"]) if seeds else 1

    @property
    def default(self) -> float | None:
        """The default config's value."""
        found = [row for row in self.rows if row.number == 0 and "default" in row.notes]
        return found[0].value if found else None

    @property
    def seconds(self) -> float:
        """Of all trainings together."""
        return sum(row.seconds for row in self.rows)

    @property
    def epochs(self) -> float:
        """Of all trainings together."""
        return sum(row.epochs for row in self.rows)

    @property
    def running(self) -> bool:
        """Whether a process runs it now."""
        try:
            return self.folder.owner() is not None
        except HpoError:
            return False

    @property
    def most_trials(self) -> int | None:
        """The budget of trials; None if that is not what ends the study."""
        most = self.progress.limits.get("trials")
        return None if most is None else int(most)

    def gains(self) -> list[tuple[float, float]]:
        """Return epochs spent against the best value so far, wherever that changed."""
        return gains(self.rows, self.direction)


class Summaries:
    """The summaries of all studies of a folder, each kept until a file of it changes."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._known: dict[str, tuple[object, Summary]] = {}

    def all(self) -> list[Summary]:
        """Return every study, the one that changed last first."""
        folders = self.folders()
        found = [(self.stamp(folder), self.of(folder)) for folder in folders]
        there = {one.name for _, one in found}
        self._known = {name: known for name, known in list(self._known.items()) if name in there}
        return [one for _, one in sorted(found, key=lambda pair: -max(pair[0]))]

    def find(self, name: str) -> Summary | None:
        """Return the study of exactly that name, None if there is none."""
        known = {folder.name: folder for folder in self.folders()}
        return self.of(known[name]) if name in known else None

    def of(self, folder: StudyFolder) -> Summary:
        """Return the summary of a study."""
        stamp = self.stamp(folder)
        known = self._known.get(folder.name)
        if known is None or known[0] != stamp:
            known = (stamp, summarize(folder))
            self._known[folder.name] = known
        return known[1]

    def folders(self) -> list[StudyFolder]:
        """Return the folders of all studies, by name.

        Raises:
            UsageError: if the folder of all studies is a file.
        """
        return find_studies(self.results)

    @staticmethod
    def stamp(folder: StudyFolder) -> tuple[int, ...]:
        """Return when each of a study's tables changed."""
        files = (
            folder.study_file,
            folder.leaderboard,
            folder.best_config,
            folder.progress,
            folder.about,
        )
        return tuple(_changed(file) for file in files)


def summarize(folder: StudyFolder) -> Summary:
    """Return the summary of a study; what is damaged is said, and hides nothing else."""
    damaged: list[str] = []
    fingerprint = read_sound(
        folder.fingerprint, Fingerprint, damaged, place=folder.fingerprint.name
    )
    metric, rows = _leaderboard(folder, damaged)
    return Summary(
        folder=folder,
        metric=metric,
        rows=rows,
        best=_named(folder.best_config, BestConfig, damaged),
        created_utc=fingerprint.created_utc if fingerprint else "",
        progress=read_sound(folder.progress, Progress, []) or Progress(),
        about=read_about(folder, damaged),
        damaged=damaged,
    )


def gains(rows: Sequence[Row], direction: str | None) -> list[tuple[float, float]]:
    """Return epochs spent, trial by trial, against the best value so far where it changed."""
    sign = -1.0 if direction == "minimize" else 1.0
    spent, best, found = 0.0, float("-inf"), []
    for row in sorted(rows, key=lambda row: row.number):
        spent += row.epochs
        if row.state == "complete" and row.value is not None and sign * row.value > best:
            best = sign * row.value
            found.append((spent, row.value))
    return [*found, (spent, found[-1][1])] if found else []


def _named(path: Path, model: type[Read], damaged: list[str]) -> Read | None:
    """Return the record in a file; a page names no path of this machine."""
    return read_sound(path, model, damaged, place=path.name)


def _leaderboard(folder: StudyFolder, damaged: list[str]) -> tuple[str, list[Row]]:
    """Return the metric and the rows of ``leaderboard.csv``."""
    try:
        with folder.leaderboard.open(encoding="utf-8", newline="") as stream:
            head, *lines = list(csv.reader(stream))
        rows = [_row(head, line) for line in lines]
    except FileNotFoundError:
        return "", []
    except (ValueError, KeyError, OSError, csv.Error):
        damaged.append(f"{folder.leaderboard.name}: is damaged; hpo doctor --repair")
        return "", []
    return head[4], rows


def _row(head: Sequence[str], line: Sequence[str]) -> Row:
    """Return a row; the metric is the fifth column, and what was decided follows the notes."""
    first = head.index("notes") + 1
    cells = dict(zip(head[:first], line[:first], strict=True))
    params = zip(head[first:], line[first:], strict=True)
    return Row(
        rank=int(cells["rank"]) if cells["rank"] else None,
        number=int(cells["trial"]),
        state=cells["state"],
        reason=cells["reason"],
        value=_number(line[4]),
        epochs=_number(cells["epochs_run"]) or 0.0,
        n_parameters=int(cells["n_parameters"]) if cells["n_parameters"] else None,
        latency_ms=_number(cells["latency_ms"]),
        seconds=_number(cells["seconds"]) or 0.0,
        notes=cells["notes"],
        params={name: cell for name, cell in params if cell},
    )


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
