"""Status: a study seen from outside while it runs, from its files alone; no torch, no Optuna."""

import csv
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hpo.best import best_of, default_of
from hpo.errors import UsageError
from hpo.files import read_document
from hpo.layout import LOCK, Owner, StudyFolder, find_studies
from hpo.records import Progress, TrialRecord, most_epochs, read_record, read_trials
from hpo.scheduler import Limits
from hpo.search import BudgetConfig
from hpo.steering.requests import Request, waiting_requests
from hpo.words import arrow, counts, duration, limits_words, number, sparkline


@dataclass(frozen=True, kw_only=True)
class OpenTrial:
    """A trial that has begun and not ended."""

    number: int
    state: Literal["running", "waiting"]
    """``waiting``: it was given back, and goes on when its turn comes."""
    seconds: float | None
    """Since it was started; None if it waits."""
    epoch: float | None
    """Of its last validation; None before the first."""
    max_epochs: int | None
    curve: Sequence[float]
    """The objective at each validation."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far a study is."""

    study: str
    owner: Owner | None
    """Who runs it; None if nobody does."""
    metric: str | None
    direction: str | None
    states: dict[str, int]
    limits: Limits
    """The total budget."""
    epochs: float
    """Epochs of the trials that ended."""
    wall_seconds: float
    """Over all calls."""
    best: TrialRecord | None
    default: TrialRecord | None
    trials: Sequence[OpenTrial]
    requests: dict[str, Request]

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return sum(self.states.values())

    @property
    def running(self) -> list[int]:
        """The trials that run."""
        return [trial.number for trial in self.trials if trial.state == "running"]

    def left(self) -> Limits:
        """Return what is left of the budget."""
        total = self.limits
        return Limits(
            trials=None if total.trials is None else max(total.trials - self.ended, 0),
            epochs=None if total.epochs is None else max(total.epochs - self.epochs, 0.0),
            time_s=None if total.time_s is None else max(total.time_s - self.wall_seconds, 0.0),
        )

    def plain(self) -> dict[str, Any]:
        """Return the status as plain values, ready for JSON."""
        return {
            "study": self.study,
            "running": self.owner is not None,
            "host": self.owner.host if self.owner else None,
            "pid": self.owner.pid if self.owner else None,
            "metric": self.metric,
            "direction": self.direction,
            "ended": self.ended,
            "states": self.states,
            "budget": vars(self.limits),
            "left": vars(self.left()),
            "epochs": self.epochs,
            "wall_seconds": round(self.wall_seconds, 3),
            "best": _one(self.best),
            "default": _one(self.default),
            "trials": [
                {**vars(trial), "value": trial.curve[-1] if trial.curve else None}
                for trial in self.trials
            ],
            "requests": [
                {"id": name, "asked_utc": request.asked_utc, **request.ask.model_dump()}
                for name, request in self.requests.items()
            ],
        }


def status_of(folder: StudyFolder) -> Status:
    """Return how far a study is; nothing of it is changed, and who runs it is not disturbed.

    Raises:
        UsageError: if a record is damaged.
        EnvironmentFault: if the lock cannot be read.
    """
    owner = folder.owner()
    progress = _progress(folder)
    records = read_trials(folder)
    metric, direction = _objective(folder, records)
    return Status(
        study=folder.name,
        owner=owner,
        metric=metric,
        direction=direction,
        states=counts(records),
        limits=_limits(folder, progress),
        epochs=sum(record.epochs_spent for record in records),
        wall_seconds=_wall_seconds(folder, progress, owner),
        best=None if direction is None else best_of(records, direction),
        default=default_of(records),
        trials=_open_trials(folder, progress, owner),
        requests=dict(waiting_requests(folder)),
    )


def studies_to_show(results: Path) -> list[StudyFolder]:
    """Return the studies that run; where none does, the one that changed last."""
    folders = find_studies(results)
    running = [folder for folder in folders if folder.owner() is not None]
    return running or sorted(folders, key=_changed)[-1:]


def status_lines(status: Status) -> list[str]:
    """Return a status for reading."""
    lines = [headline(status)]
    best, default = status.best, status.default
    if best is not None:
        known = f"; default config {number(default.value)}" if default is not None else ""
        sign = f" {arrow(status.direction)}" if status.direction else ""
        lines.append(
            f"  best: trial {best.number}  {status.metric}{sign} {number(best.value)}{known}"
        )
    lines += [_trial_line(trial) for trial in status.trials]
    return lines + [
        f"  asked: {_ask_words(request)}  ({_age(request.asked_utc)} ago)"
        for request in status.requests.values()
    ]


def headline(status: Status) -> str:
    """Return the one line that says how far a study is."""
    total = "" if status.limits.trials is None else f"/{status.limits.trials}"
    tally = ", ".join(f"{n} {state}" for state, n in status.states.items() if n)
    line = f"{status.study}: {_who(status.owner)}; {status.ended}{total} trials"
    line += f" ({tally})" if tally else ""
    line += f" in {duration(status.wall_seconds)}"
    left = limits_words(status.left())
    return f"{line}; left: {left}" if left else line


def _who(owner: Owner | None) -> str:
    if owner is None:
        return "does not run"
    return f"runs in process {owner.pid} on {owner.host}" if owner.pid else "is starting"


def _trial_line(trial: OpenTrial) -> str:
    line = f"  trial {trial.number:3d}  "
    if trial.seconds is None:
        line += "waits"
    else:
        line += f"runs for {duration(trial.seconds)}"
    if trial.epoch is not None:
        of = "" if trial.max_epochs is None else f"/{trial.max_epochs}"
        line += f"  epoch {trial.epoch:g}{of}  {number(trial.curve[-1])}  {sparkline(trial.curve)}"
    return line


def _ask_words(request: Request) -> str:
    ask = request.ask.model_dump(exclude_none=True)
    match ask.pop("kind"):
        case "stop":
            return "stop the study"
        case "end_trial":
            return f"end trial {ask['trial']}"
        case "budget":
            return "budget " + ", ".join(f"{name}={value}" for name, value in ask.items())
    return "next trial with " + ", ".join(f"{k}={v}" for k, v in ask["params"].items())


def _progress(folder: StudyFolder) -> Progress:
    try:
        return read_record(folder.progress, Progress)
    except UsageError:
        return Progress()  # the first call has not come so far


def _limits(folder: StudyFolder, progress: Progress) -> Limits:
    """Return the budget that the last supervisor had; before it said so, that of the file."""
    if progress.limits:
        trials = progress.limits.get("trials")
        return Limits(
            trials=None if trials is None else int(trials),
            epochs=progress.limits.get("epochs"),
            time_s=progress.limits.get("time_s"),
        )
    budget = read_document(folder.study_file).values["budget"]
    return Limits.of(BudgetConfig.model_validate(budget), None)


def _wall_seconds(folder: StudyFolder, progress: Progress, owner: Owner | None) -> float:
    """Return the seconds used: those written, and those since, while the study runs."""
    if owner is None:
        return progress.wall_seconds
    begun = [_modified(folder.path / LOCK)]
    if progress.owner == owner.token:
        begun.append(_modified(folder.progress))
    return progress.wall_seconds + max(time.time() - max(begun), 0.0)


def _open_trials(
    folder: StudyFolder, progress: Progress, owner: Owner | None
) -> Sequence[OpenTrial]:
    """Return the trials that have begun and not ended, by number."""
    started: dict[int, float] = {}
    if owner is not None and progress.owner == owner.token:
        started = {one.number: _seconds_since(one.started_utc) for one in progress.running}
    found = []
    for path in folder.trial_folders():
        trial = int(path.name)
        if (path / "result.json").exists() or not folder.proposal(trial).exists():
            continue
        seconds = started.get(trial)
        begun = _modified(folder.proposal(trial))
        later = max(_modified(folder.progress), _modified(folder.path / LOCK))
        if seconds is None and owner is not None and begun > later:
            seconds = max(time.time() - begun, 0.0)  # the progress does not show it yet
        found.append(_open_trial(path, trial, seconds))
    return found


def _open_trial(path: Path, trial: int, seconds: float | None) -> OpenTrial:
    try:
        with (path / "curve.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError:
        rows = []
    return OpenTrial(
        number=trial,
        state="waiting" if seconds is None else "running",
        seconds=seconds,
        epoch=float(rows[-1]["epoch"]) if rows else None,
        max_epochs=most_epochs(_config(path)),
        curve=[float(row["objective"]) for row in rows],
    )


def _objective(
    folder: StudyFolder, records: Sequence[TrialRecord]
) -> tuple[str | None, str | None]:
    """Return metric and direction as the configs of trials have them; None before the first."""
    configs = (record.config for record in records)
    begun = (_config(path) for path in folder.trial_folders())
    for config in (*configs, *begun):
        if "objective" in config:
            return config["objective"]["metric"], config["objective"]["direction"]
    return None, None


def _config(path: Path) -> dict[str, Any]:
    """Return the config of a trial; empty if the trial has not come so far."""
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config


def _one(record: TrialRecord | None) -> dict[str, Any] | None:
    return None if record is None else {"trial": record.number, "value": record.value}


def _changed(folder: StudyFolder) -> float:
    return max(_modified(folder.progress), _modified(folder.study_file))


def _modified(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _seconds_since(utc: str) -> float:
    return max((datetime.now(UTC) - datetime.fromisoformat(utc)).total_seconds(), 0.0)


def _age(utc: str) -> str:
    return duration(_seconds_since(utc))
