"""TrialRecord and its file: what a study knows of a trial that has ended, JSON both ways."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hpo.errors import UsageError
from hpo.files import write_json, write_text
from hpo.grammar.scalars import Scalar
from hpo.layout import StudyFolder
from lightning_modules.cells import CsvWriter, plain_cell, safe_cell
from lightning_modules.result import RunResult

State = Literal["complete", "pruned", "failed"]
Reason = Literal["nan", "oom", "infeasible", "timeout", "killed", "disk", "error"]
Read = TypeVar("Read", bound=BaseModel)


class ImportedOutcome(BaseModel):
    """What another program's study says of a trial that was trained elsewhere."""

    model_config = ConfigDict(frozen=True, extra="allow")

    value: float | None
    """The objective, of an infeasible trial too; of a pruned one its best report, if any."""
    attributes: dict[str, Any] = {}
    """What its program noted of it: Optuna's user attributes."""


class TrialRecord(BaseModel):
    """A trial that has ended for good."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.trial/1"] = Field("hpo.trial/1", alias="schema")
    study: str
    number: int
    state: State
    reason: Reason | None = None
    what: str = ""
    """What went wrong, in one line; the traceback is in ``traceback.txt``."""
    params: dict[str, Scalar]
    config: dict[str, Any]
    config_sha256: str
    seed: int
    attempts: int = 1
    notes: list[str] = []
    """``default`` for a family's default config, and what of it was clipped; how it came about."""
    measured: dict[str, float] = {}
    """What the study's constraints were held against, before the training."""
    violation: float = 0.0
    """By how much they were exceeded, as shares of the limits, added up."""
    same_as: int | None = None
    """The trial of an equal config whose outcome this is; nothing was trained for it again."""
    audit: int | None = None
    """The validation at which the pruner would have stopped the trial, which ran on to show it."""
    run: RunResult | None = None
    imported: ImportedOutcome | None = Field(None, exclude_if=lambda outcome: outcome is None)
    """In the place of a run: the trial was trained by another program."""
    started_utc: str
    ended_utc: str
    seconds: float

    @property
    def value(self) -> float | None:
        """The objective at the best validation; None for a failed trial."""
        if self.imported is not None:
            return None if self.state == "failed" else self.imported.value
        return None if self.run is None else self.run.value

    @property
    def has_rank(self) -> bool:
        """Whether the trial is complete, and its outcome its own."""
        return self.state == "complete" and self.same_as is None

    @property
    def epochs_spent(self) -> float:
        """The epochs that were trained for this trial."""
        return self.run.epochs_run if self.run is not None and self.same_as is None else 0.0


class Fingerprint(BaseModel):
    """``fingerprint.json``: what all calls of a study must have in common."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.fingerprint/1"] = Field("hpo.fingerprint/1", alias="schema")
    uuid: str
    plugins: dict[str, str | None]
    """The hash of every plugin's file, by the name that it was given with."""
    changes: list[dict[str, Any]]
    created_utc: str


class ProposalRecord(BaseModel):
    """``proposal.json``: a trial that has begun and not ended, for a storage that was lost."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.proposal/1"] = Field("hpo.proposal/1", alias="schema")
    params: dict[str, Scalar]
    request: str | None = None
    """The request that gave its values, if one did."""


class RunningTrial(BaseModel):
    """A trial that runs, in ``progress.json``."""

    model_config = ConfigDict(frozen=True, extra="allow")

    number: int
    started_utc: str


class Progress(BaseModel):
    """``progress.json``: how far a study is; at most a second old while it runs."""

    model_config = ConfigDict(frozen=True, extra="allow")

    wall_seconds: float = 0.0
    """Of all calls."""
    ended: int = 0
    owner: str | None = None
    """The token of the supervisor that wrote it."""
    limits: dict[str, float | None] = {}
    """The total budget: ``trials``, ``epochs``, ``time_s``; null is no limit."""
    running: list[RunningTrial] = []


def write_trial(folder: StudyFolder, record: TrialRecord) -> None:
    """Write ``result.json`` of a trial: its presence means that the trial has ended."""
    write_json(
        folder.trial(record.number) / "result.json", record.model_dump(mode="json", by_alias=True)
    )


def read_record(path: Path, model: type[Read]) -> Read:
    """Read a JSON record.

    Raises:
        UsageError: if the file is missing, damaged, or no record of that kind.
    """
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(str(path), "no such file", "check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        hint = "hpo doctor --repair mends the study"
        raise UsageError(str(path), "is damaged: no JSON", hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"is no such record ({where}: {first['msg']})"
        raise UsageError(str(path), what, "run the study again") from None


def read_sound(
    path: Path, model: type[Read], damaged: list[str], *, place: str | None = None
) -> Read | None:
    """Return the record in a file, None if there is none; say in ``damaged`` what is wrong.

    Args:
        path: of the file.
        model: of the record.
        damaged: takes a line if the file cannot be read.
        place: how the file is named there; its path by default.
    """
    if not path.is_file():
        return None
    try:
        return read_record(path, model)
    except UsageError as error:
        damaged.append(f"{place or error.where}: {error.what}")
        return None


def read_trials(folder: StudyFolder) -> list[TrialRecord]:
    """Return the records of all trials that have ended, by number."""
    files = [path / "result.json" for path in folder.trial_folders()]
    return [read_record(file, TrialRecord) for file in files if file.is_file()]


def read_curve(trial: Path) -> dict[int, float]:
    """Return the objective of every validation of a trial, by its count, from its folder."""
    file = trial / "curve.csv"
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as stream:
        return {int(row["validation"]): float(row["objective"]) for row in csv.DictReader(stream)}


def curve_rows(trial: Path) -> list[dict[str, float]]:
    """Return every validation of a trial from its folder: each number by the name of its column."""
    file = trial / "curve.csv"
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        {plain_cell(name): float(value) for name, value in row.items() if value} for row in rows
    ]


def attributes_of(record: TrialRecord) -> dict[str, object]:
    """Return what the dashboard shows of a trial, numbers where they can be axes."""
    run = record.run
    if record.imported is not None:  # another program's attributes, as it named them
        told = {"status": record.state, "reason": record.reason, "what": record.what or None}
        return {**told, **record.imported.attributes}
    shown: dict[str, object] = {
        "seed": record.seed,
        "seconds": record.seconds,
        "status": record.state,
        "reason": record.reason,
        "what": record.what[:500] or None,
        "violation": record.violation or None,
        "same_as": record.same_as,
        "audit": record.audit,
        "lr": _lr(record),
        "default": True if "default" in record.notes else None,
    }
    return shown if run is None else {**shown, **_numbers_of(run)}


def _numbers_of(run: RunResult) -> dict[str, object]:
    return {
        "n_parameters": run.n_parameters,
        "size_mb": round(run.size_bytes / 1e6, 6),
        "flops": run.flops,
        "latency_ms": run.latency_ms,
        "latency_ms_64": run.latency.get("64"),
        "train_seconds": run.train_seconds,
        "samples_per_second": run.samples_per_second,
        "epochs_run": run.epochs_run,
        "best_epoch": run.best_epoch,
        "stop_reason": run.stopped_by,
    }


def _lr(record: TrialRecord) -> float | None:
    optimizer = record.config.get("optimizer")
    lr = optimizer.get("lr") if isinstance(optimizer, dict) else None
    return float(lr) if isinstance(lr, int | float) else None


def ranked(records: Sequence[TrialRecord], direction: str) -> list[TrialRecord]:
    """Return complete trials best first, then pruned, then failed ones.

    Ties go to the smaller network, then to the lower number.
    """
    sign = -1 if direction == "maximize" else 1
    order = {"complete": 0, "pruned": 1, "failed": 2}

    def key(record: TrialRecord) -> tuple[float, ...]:
        value = 0.0 if record.value is None else sign * record.value
        size = record.run.n_parameters if record.run else 0
        return (order[record.state], value, size, record.number)

    return sorted(records, key=key)


def write_leaderboard(
    folder: StudyFolder, records: Sequence[TrialRecord], *, direction: str, metric: str
) -> None:
    """Write ``leaderboard.csv``: rank, result and cost of every trial, then its parameters."""
    names = sorted({name for record in records for name in record.params})
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.row(["rank", "trial", "state", "reason", _cell(metric), *_COLUMNS, *map(_cell, names)])
    rank = 0
    for record in ranked(records, direction):
        rank += record.has_rank
        shown = rank if record.has_rank else ""
        value = "" if record.value is None else repr(record.value)
        params = [_cell(record.params.get(name, "")) for name in names]
        writer.row(
            [
                shown,
                record.number,
                record.state,
                record.reason or "",
                value,
                *_costs(record),
                *params,
            ]
        )
    write_text(folder.leaderboard, text.getvalue())


_COLUMNS = ("best_epoch", "epochs_run", "n_parameters", "latency_ms", "seconds", "notes")


def _costs(record: TrialRecord) -> list[Any]:
    notes = _cell("; ".join(record.notes))
    if record.run is None:
        return ["", "", "", "", f"{record.seconds:.3f}", notes]
    run = record.run
    latency = "" if run.latency_ms is None else run.latency_ms
    epochs = [f"{run.best_epoch:g}", f"{run.epochs_run:g}"]
    return [*epochs, run.n_parameters, latency, f"{record.seconds:.3f}", notes]


def _cell(value: Any) -> Any:
    """Return text that no spreadsheet takes for a formula."""
    return safe_cell(value) if isinstance(value, str) else value


def hash_changes(stored: Mapping[str, Any], found: Mapping[str, str | None]) -> list[str]:
    """Return one line per hash of ``found`` that ``stored`` has otherwise: ``name: old → new``."""
    return [
        f"{name}: {_short(stored.get(name))} → {_short(value)}"
        for name, value in found.items()
        if stored.get(name) != value
    ]


def _short(digest: str | None) -> str:
    if digest is None:
        return "none"
    return digest if len(digest) <= 12 else f"{digest[:12]}…"


def most_epochs(config: Mapping[str, Any]) -> int | None:
    """Return the epochs of a whole run of a plain config, those of all its folds; None if untold.

    >>> most_epochs({"trainer": {"max_epochs": 20}, "data": {"folds": 5}})
    100
    """
    epochs, data = config.get("trainer", {}).get("max_epochs"), config.get("data", {})
    if epochs is None or data.get("fold") is not None:
        return None if epochs is None else int(epochs)
    return int(epochs) * int(data.get("folds") or 1)


def config_sha256(config: dict[str, Any]) -> str:
    """Return the hash of a config's canonical JSON, as records hold it."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def now_utc() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
