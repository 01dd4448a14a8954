"""What `hpo list`, `hpo best` and `hpo show` read from the records; no torch, no Optuna."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpo.best import BestConfig, best_of, default_of
from hpo.errors import StudyError, UsageError
from hpo.files import dump_json, dump_yaml
from hpo.layout import StudyFolder, find_studies
from hpo.records import (
    Fingerprint,
    TrialRecord,
    ranked,
    read_curve,
    read_record,
    read_sound,
    read_trials,
)
from hpo.words import counts
from lightning_modules.registry import suggest


@dataclass(frozen=True, kw_only=True)
class StudyLine:
    """One study in `hpo list`."""

    name: str
    created_utc: str
    trials: dict[str, int]
    metric: str | None
    direction: str | None
    best: float | None
    default: float | None
    seconds: float
    damaged: list[str]
    """The records that could not be read: which, and what is wrong with them."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the configs that are held against each other."""

    label: str
    metric: str
    value: float | None
    config: Mapping[str, Any]
    data: Mapping[str, str | None]
    """The fingerprints of the rows that judged it."""


def list_studies(results: Path) -> list[StudyLine]:
    """Return a line for every study under ``results``, by name."""
    return [study_line(folder) for folder in find_studies(results)]


def study_line(folder: StudyFolder) -> StudyLine:
    """Return the line of a study; one damaged file does not hide it, or the others."""
    damaged: list[str] = []
    found = [
        read_sound(path / "result.json", TrialRecord, damaged) for path in folder.trial_folders()
    ]
    records = [record for record in found if record is not None]
    best = read_sound(folder.best_config, BestConfig, damaged)
    fingerprint = read_sound(folder.fingerprint, Fingerprint, damaged)
    default = default_of(records)
    metric: str | None = best.metric["name"] if best else None
    direction: str | None = best.metric["direction"] if best else None
    value = best.metric["value"] if best else None
    if any(record.imported is not None for record in records):
        metric, direction = objective_of(records)
        chosen = best_of(records, str(direction))
        value = None if chosen is None else chosen.value
    return StudyLine(
        name=folder.name,
        created_utc=fingerprint.created_utc if fingerprint else "",
        trials=counts(records),
        metric=metric,
        direction=direction,
        best=value,
        default=default.value if default else None,
        seconds=sum(record.seconds for record in records),
        damaged=damaged,
    )


def objective_of(records: Sequence[TrialRecord]) -> tuple[str | None, str | None]:
    """Return metric and direction as the configs of trials have them; None before the first."""
    for record in records:
        objective = record.config.get("objective")
        if isinstance(objective, Mapping):
            return objective.get("metric"), objective.get("direction")
    return None, None


def no_best(folder: StudyFolder) -> StudyError:
    """Return the error of a study without a best config: none is complete, or it was imported."""
    records = list(read_trials(folder))
    if any(record.imported is not None for record in records):
        what = "was imported, and has no best_config.json: how it was trained is not known"
        return StudyError(folder.name, what, f"hpo trials {folder.name} --top 5")
    again = f"hpo run {folder.study_file}"
    if any(record.has_rank for record in records):
        what = f"{folder.best_config.name} is gone"
        return StudyError(folder.name, what, f"{again} writes it again")
    return StudyError(folder.name, "no trial is complete yet", again)


def load_best(folder: StudyFolder) -> BestConfig:
    """Return a study's best config.

    Raises:
        StudyError: if no trial is complete, or the study was imported.
    """
    if not folder.best_config.exists():
        raise no_best(folder)
    return read_record(folder.best_config, BestConfig)


def top_trials(folder: StudyFolder, n: int) -> list[TrialRecord]:
    """Return the best ``n`` complete trials, best first; what repeats one is left out."""
    direction = load_best(folder).metric["direction"]
    complete = [record for record in read_trials(folder) if record.has_rank]
    return ranked(complete, direction)[:n]


def pick(config: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path of a config, also of what records leave out.

    Raises:
        UsageError: if there is none; what stands there is named.
    """
    value: Any = config
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            try:
                return left_out(config, path)
            except KeyError:
                pass
            known = list(value) if isinstance(value, Mapping) else []
            hint = suggest(key, known) if known else f"nothing lies below {value!r}"
            raise UsageError(path, f"no {key!r} in the config", hint)
        value = value[key]
    return value


def left_out(config: Mapping[str, Any], path: str) -> Any:
    """Return the value of a setting that records leave out where it is its default.

    Raises:
        KeyError: if there is no such setting, or the config cannot be read here.
    """
    from lightning_modules.config import RunConfig  # not needed for more than this
    from lightning_modules.settings import Settings

    try:
        value: Any = RunConfig.model_validate(config)
    except ValidationError:  # of a plugin that is not loaded, or of another version
        raise KeyError(path) from None
    for key in path.split("."):
        if not isinstance(value, Settings) or key not in type(value).model_fields:
            raise KeyError(path)
        value = getattr(value, key)
    return value.model_dump(mode="json") if isinstance(value, Settings) else value


def render(config: Mapping[str, Any], form: str) -> str:
    """Return a config as ``yaml``, ``json``, ``flags`` (of --set) or ``python``.

    Raises:
        UsageError: if the form is none of these.
    """
    match form:
        case "yaml":
            return dump_yaml(config)
        case "json":
            return dump_json(config)
        case "flags":
            pairs = [
                f"{path}={json.dumps(value, ensure_ascii=False)}"
                for path, value in flat(config).items()
            ]
            return " ".join(f"--set {shlex.quote(pair)}" for pair in pairs) + "\n"
        case "python":
            import pprint

            return f"config = {pprint.pformat(dict(config), sort_dicts=False, width=100)}\n"
    raise UsageError(
        "--as", f"no form {form!r}", suggest(form, ["yaml", "json", "flags", "python"])
    )


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a config as dotted paths and plain values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}.{key}" if prefix else key
        found |= flat(value, path) if isinstance(value, Mapping) and value else {path: value}
    return found


def find_trial(folder: StudyFolder, number: int) -> TrialRecord:
    """Return the record of a trial.

    Raises:
        UsageError: if it has not ended, or does not exist.
    """
    file = folder.trial(number) / "result.json"
    if not file.exists():
        known = [record.number for record in read_trials(folder)]
        span = f"{known[0]} to {known[-1]}" if known else "none"
        raise UsageError(folder.name, f"no trial {number} that ended", f"ended: {span}")
    return read_record(file, TrialRecord)


def differing(records: Sequence[TrialRecord | Side]) -> list[tuple[str, list[Any]]]:
    """Return the settings in which configs differ: path, and the value of each."""
    configs = [flat(record.config) for record in records]
    sections = list(dict.fromkeys(path.partition(".")[0] for config in configs for path in config))
    paths = list(dict.fromkeys(path for config in configs for path in config))
    paths.sort(key=lambda path: sections.index(path.partition(".")[0]))
    rows = [(path, [config.get(path) for config in configs]) for path in paths]
    return [row for row in rows if len({json.dumps(value) for value in row[1]}) > 1]


def beside_default(folder: StudyFolder) -> list[Side]:
    """Return the best config of a study beside the default, and its own family's default.

    Raises:
        StudyError: if no trial is complete.
        UsageError: if the study has no default config, or that one is the best.
    """
    best = load_best(folder)
    records = read_trials(folder)
    number, family = best.study["trial"], best.config["model"]["family"]
    defaults = [record for record in records if "default" in record.notes]
    if not defaults:
        what = "has no default config to compare with"
        raise UsageError(folder.name, what, "name another study: --diff OTHER")
    if number == defaults[0].number:
        what = f"the default config, trial {number}, is the best"
        raise UsageError(folder.name, what, f"hpo best {folder.name} shows it")
    own = [r for r in defaults[1:] if r.config["model"]["family"] == family]
    shown = [record for record in (defaults[0], *own[:1]) if record.number != number]
    sides = [_default_side(record, best) for record in shown]
    return [*sides, best_side(folder, label=f"best (trial {number})")]


def _default_side(record: TrialRecord, best: BestConfig) -> Side:
    return Side(
        label=f"default {record.config['model']['family']} (trial {record.number})",
        metric=best.metric["name"],
        value=record.value,
        config=record.config,
        data={key: best.data[key] for key in ("sha256", "split_sha256")},
    )


def best_side(folder: StudyFolder, *, label: str) -> Side:
    """Return the best config of a study as one side of a comparison.

    Raises:
        StudyError: if no trial is complete.
    """
    best = load_best(folder)
    return Side(
        label=label,
        metric=best.metric["name"],
        value=best.metric["value"],
        config=best.config,
        data={"sha256": best.data["sha256"], "split_sha256": best.data["split_sha256"]},
    )


def incomparable(sides: Sequence[Side]) -> list[str]:
    """Return why the values of configs cannot be held against each other; nothing if they can."""
    words = {"sha256": "other data", "split_sha256": "another split"}
    found = [] if len({side.metric for side in sides}) == 1 else ["another metric"]
    return found + [
        word for key, word in words.items() if len({side.data[key] for side in sides}) > 1
    ]


def curve(folder: StudyFolder, number: int) -> list[float]:
    """Return the objective at every validation of a trial."""
    return list(read_curve(folder.trial(number)).values())
