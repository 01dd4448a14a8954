"""Import a study of an Optuna storage: its trials become records to look at, and to compare.

The storage is opened for reading alone. What the trials were trained with is not known here: their
parameters are kept as they were; there is no `RunConfig`, no checkpoint, no ``best_config.json``.
"""

import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from hpo.errors import RefusedError, UsageError
from hpo.files import dump_json, dump_yaml
from hpo.grammar.imported import IMPORTED
from hpo.grammar.nodes import Scalar
from hpo.layout import StudyFolder
from hpo.records import (
    ImportedOutcome,
    Reason,
    State,
    TrialRecord,
    config_sha256,
    now_utc,
    write_leaderboard,
)
from hpo.settle import ended_trial
from hpo.spec import StudySpec, load_study
from hpo.storage.reading import OldStudy
from hpo.storage.removal import stored_trials
from hpo.storage.writer import StudyStorage, sqlite_url
from hpo.words import counts
from lightning_modules.registry import suggest

Direction = Literal["maximize", "minimize"]
_HEADER = "# Imported from an Optuna study, to look at: how it was trained is not known here.\n"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import came to."""

    folder: StudyFolder
    metric: str
    direction: Direction
    records: Sequence[TrialRecord]
    unfinished: int
    """Trials that were running or waiting; they are recorded as failed."""
    parameters: int

    def plain(self) -> dict[str, Any]:
        """Return what came of it as plain values, ready for JSON."""
        return {
            "path": str(self.folder.path),
            "metric": self.metric,
            "direction": self.direction,
            "trials": counts(self.records),
            "unfinished": self.unfinished,
            "parameters": self.parameters,
        }


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Which of the study's objectives is taken."""

    index: int
    metric: str
    direction: Direction


def import_study(
    old: OldStudy,
    results: Path,
    *,
    name: str | None = None,
    objective: str | None = None,
    storage: str | None = None,
) -> Imported:
    """Write a study's folder from an Optuna study, and add its trials to our storage.

    Args:
        old: the study, read.
        results: the folder of all studies.
        name: of the new study; the old one's by default.
        objective: the name or number of the objective, where there are several; or how the only
            one is called.
        storage: ours; the SQLite file under ``results`` by default.

    Raises:
        UsageError: if the name cannot be a folder's, there are several objectives and none is
            chosen, or a parameter has values of no plain type.
        RefusedError: if there is a study of that name.
        EnvironmentFault: if our storage cannot be written.
    """
    chosen = choose_objective(old, objective)
    spec = _spec(old, chosen, name or old.name)
    folder = StudyFolder(results / spec.name)
    url = storage or sqlite_url(results / "storage.sqlite")
    _refuse_existing(folder, url)
    folder.refuse_place()
    records = [record_of(spec.name, trial, chosen) for trial in old.trials]
    _write_folder(folder, spec, old, records, chosen)
    database = StudyStorage(url, study=spec.name, direction=chosen.direction, metric=chosen.metric)
    try:
        for record in records:
            database.add(ended_trial(folder, spec.space, record))
        database.finish_writing()
    finally:
        database.close()
    return Imported(
        folder=folder,
        metric=chosen.metric,
        direction=chosen.direction,
        records=records,
        unfinished=sum(not trial.state.is_finished() for trial in old.trials),
        parameters=len(spec.space.parameters()),
    )


def choose_objective(old: OldStudy, wanted: str | None) -> Objective:
    """Return the objective that is taken.

    Raises:
        UsageError: if there are several and none is chosen, or it is none of them.
    """
    names = list(old.metrics)
    if len(names) == 1:
        metric = wanted if wanted and wanted != "0" else names[0]
        return Objective(index=0, metric=metric, direction=old.directions[0])
    if wanted is None:
        what = f"has {len(names)} objectives: {', '.join(names)}"
        raise UsageError(old.name, what, f"choose one with --objective {names[0]}")
    if wanted.isdigit() and int(wanted) < len(names):
        index = int(wanted)
    elif wanted in names:
        index = names.index(wanted)
    else:
        raise UsageError("--objective", f"no objective {wanted[:60]!r}", suggest(wanted, names))
    return Objective(index=index, metric=names[index], direction=old.directions[index])


def record_of(study: str, trial: FrozenTrial, objective: Objective) -> TrialRecord:
    """Return a trial of Optuna as a record of ours.

    A trial that was running or waiting, or whose value is no number, has failed; one that violates
    its constraints is infeasible.
    """
    value = _value(trial, objective)
    state, reason, what = _state(trial, value)
    violation = sum(max(float(by), 0.0) for by in trial.constraints.values())
    if state == "complete" and violation > 0:
        state, reason, what = "failed", "infeasible", f"violates its constraints by {violation:g}"
    params = {name: _scalar(one) for name, one in trial.params.items()}
    config = {
        "objective": {"metric": objective.metric, "direction": objective.direction},
        "parameters": params,
    }
    begun, ended = _span(trial)
    return TrialRecord.model_validate(
        {
            "schema": "hpo.trial/1",
            "study": study,
            "number": trial.number,
            "state": state,
            "reason": reason,
            "what": what,
            "params": params,
            "config": config,
            "config_sha256": config_sha256(config),
            "seed": 0,
            "measured": {f"constraint.{k}": float(v) for k, v in trial.constraints.items()},
            "violation": violation,
            "imported": ImportedOutcome(value=value, attributes=_attributes(trial.user_attrs)),
            "started_utc": _utc(begun),
            "ended_utc": _utc(ended),
            "seconds": max((ended - begun).total_seconds(), 0.0),
        }
    )


def parameters_of(trials: Sequence[FrozenTrial]) -> dict[str, dict[str, Any]]:
    """Return what the trials searched: every parameter, over all values that it could have.

    A parameter may have had another range in every trial; then it has the widest.
    """
    found: dict[str, list[BaseDistribution]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            known = found.setdefault(name, [])
            if distribution not in known:
                known.append(distribution)
    return {name: _parameter(name, every) for name, every in found.items()}


def _parameter(name: str, every: Sequence[BaseDistribution]) -> dict[str, Any]:
    """Return the section of a parameter; see `parameters_of`.

    Raises:
        UsageError: if it was a number in some trials and a choice in others.
    """
    choices = [one for one in every if isinstance(one, CategoricalDistribution)]
    if len(choices) == len(every):
        plain = [_scalar(choice) for one in choices for choice in one.choices]
        return {"choices": [choice for n, choice in enumerate(plain) if choice not in plain[:n]]}
    ranges = [one for one in every if isinstance(one, IntDistribution | FloatDistribution)]
    if len(ranges) < len(every):
        what = "was a number in some trials and one of several choices in others"
        raise UsageError(name, what, "such a study cannot be imported")
    low, high = min(one.low for one in ranges), max(one.high for one in ranges)
    steps = {one.step for one in ranges}
    step = steps.pop() if len(ranges) == 1 else None
    whole = all(isinstance(one, IntDistribution) for one in ranges)
    found: dict[str, Any] = {"low": low, "high": high}
    found |= {"log": True} if all(one.log for one in ranges) else {}
    found |= {} if step is None or (whole and step == 1) else {"step": step}
    return found | ({"whole": True} if whole else {})


def _spec(old: OldStudy, objective: Objective, name: str) -> StudySpec:
    space = {
        "study": old.name,
        "metric": objective.metric,
        "direction": objective.direction,
        "parameters": parameters_of(old.trials),
    }
    values = {"name": name, IMPORTED: space, "budget": {"trials": max(len(old.trials), 1)}}
    try:
        return load_study(values)
    except UsageError as error:
        if "cannot name a folder" in str(error):
            what = str(error).partition(": name: ")[2].partition(";")[0]
            raise UsageError(old.name, what, "give another with --name") from None
        raise


def _refuse_existing(folder: StudyFolder, url: str) -> None:
    """Refuse to mix two studies.

    Raises:
        RefusedError: if folder or storage has a study of that name.
    """
    if os.path.lexists(folder.path):
        hint = "--name NEW imports it under another name"
        raise RefusedError(str(folder.path), "exists already", hint)
    if stored_trials(url, folder.name):
        what = "the storage has trials of a study of this name, whose folder is gone"
        raise RefusedError(folder.name, what, f"--name NEW, or hpo delete {folder.name}")


def _write_folder(
    folder: StudyFolder,
    spec: StudySpec,
    old: OldStudy,
    records: Sequence[TrialRecord],
    objective: Objective,
) -> None:
    """Write all of the folder under a name that is no study's, then give it its own."""
    made = StudyFolder(folder.path.with_name(f".{folder.name}.import"))
    if made.path.is_dir() and not made.path.is_symlink():
        shutil.rmtree(made.path)  # of an import that was killed
    made.path.mkdir(parents=True)
    for trial, record in zip(old.trials, records, strict=True):
        place = made.trial(record.number)
        place.mkdir(parents=True)
        reports = _reports(trial)
        if reports:
            lines = [f"{step},{step},{value!r}\n" for step, value in reports.items()]
            (place / "curve.csv").write_text("validation,epoch,objective\n" + "".join(lines))
        text = dump_json(record.model_dump(mode="json", by_alias=True))
        (place / "result.json").write_text(text, encoding="utf-8")
    told = {"from": old.source, "study": old.name, "attributes": _attributes(old.attributes)}
    fingerprint = {
        "schema": "hpo.fingerprint/1",
        "uuid": str(uuid.uuid4()),
        "space_sha256": spec.space.sha256(),
        "plugins": {},
        "changes": [],
        IMPORTED: told,
        "created_utc": now_utc(),
    }
    made.fingerprint.write_text(dump_json(fingerprint), encoding="utf-8")
    direction, metric = objective.direction, objective.metric
    write_leaderboard(made, records, direction=direction, metric=metric)
    made.study_file.write_text(_HEADER + dump_yaml(_study_values(spec)), encoding="utf-8")
    os.sync()
    made.path.rename(folder.path)


def _study_values(spec: StudySpec) -> dict[str, Any]:
    """Return the study file without settings that had no part in it, such as a sampler."""
    return {key: value for key, value in spec.values().items() if key in ("name", IMPORTED)} | {
        "budget": {"trials": spec.budget.trials}
    }


def _state(trial: FrozenTrial, value: float | None) -> tuple[State, Reason | None, str]:
    match trial.state:
        case TrialState.COMPLETE if value is not None:
            return "complete", None, ""
        case TrialState.COMPLETE:
            return "failed", "nan", "its value is no number"
        case TrialState.PRUNED:
            return "pruned", None, ""
        case TrialState.FAIL:
            return "failed", "error", "failed in Optuna, which does not say why"
        case TrialState.RUNNING:
            return "failed", "killed", "was running when the study was imported"
    return "failed", "killed", "was waiting when the study was imported"


def _value(trial: FrozenTrial, objective: Objective) -> float | None:
    """Return the objective of a trial; of a pruned one without any its best report."""
    values = trial.values or []
    if len(values) > objective.index:
        value = float(values[objective.index])
        return value if math.isfinite(value) else None
    reports = _reports(trial).values()
    if trial.state != TrialState.PRUNED or not reports:
        return None
    return max(reports) if objective.direction == "maximize" else min(reports)


def _reports(trial: FrozenTrial) -> dict[int, float]:
    """Return the reports of a trial that are numbers, in the order of their steps."""
    found = sorted(trial.intermediate_values.items())
    return {step: float(value) for step, value in found if math.isfinite(value)}


def _span(trial: FrozenTrial) -> tuple[datetime, datetime]:
    """Return when a trial began and ended, as far as it is known."""
    known = [time for time in (trial.datetime_start, trial.datetime_complete) if time is not None]
    return (known[0], known[-1]) if known else (now := datetime.now(), now)


def _utc(local: datetime) -> str:
    """Return a time of Optuna, naive and local, as records have it."""
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _scalar(value: Any) -> Scalar:
    """Return a value as a plain one; what is none is text, and so is a number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes that strict JSON can hold; of others their text."""
    return dict(_plain(given))


def _plain(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        try:
            dump_json(value)
        except (TypeError, ValueError):
            yield name, str(value)[:1000]
        else:
            yield name, value
