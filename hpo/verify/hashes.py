"""Level 0: the files beside a best config are those that it names, and say the same. No torch."""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.best import BestConfig, best_of, default_of
from hpo.choice import with_kept
from hpo.errors import HpoError, UsageError
from hpo.layout import StudyFolder
from hpo.records import Fingerprint, TrialRecord, config_sha256, read_record, read_trials
from hpo.sections import checkpoint_section, data_section, others_of, training_section
from hpo.seeds import read_seeds
from hpo.spec import load_study
from hpo.verify.checks import Check, differs, equal, told, unknown
from hpo.words import counts, describe_config
from lightning_modules.durable import file_sha256
from lightning_modules.plugins import loaded_plugins

BESIDE = "keep best_config.json in its study's folder, or verify the study by its name"
RESTORE = "restore it from a copy"


def check_hashes(best: BestConfig, file: Path) -> Iterator[Check]:
    """Yield what the files beside ``file`` show; the schema is known to be sound."""
    folder = StudyFolder(file.parent)
    yield from _named_files(best, folder)
    record, checks = _record(best, folder)
    yield from checks
    if folder.fingerprint.is_file():
        yield from _study(best, folder, record)
    yield from _summary(best)


def _summary(best: BestConfig) -> Iterator[Check]:
    """Yield a check of the line that people read, if it does not say what the file does."""
    said = f"{describe_config(best.config)}: {best.metric['name']} "
    if best.metric["seeds"] is None:
        said += f"{best.metric['value']:.4g} ("
    if not best.summary.startswith(said):
        yield differs(0, "summary", told(f"{said}…", best.summary), RESTORE)


def _named_files(best: BestConfig, folder: StudyFolder) -> Iterator[Check]:
    study, environment = best.study["file"], best.environment
    yield _file(folder, "study file", study["path"], study["sha256"])
    frozen = environment["freeze_file"], environment["freeze_sha256"]
    yield _file(folder, "packages", *frozen)
    checkpoint = best.checkpoint
    found = _file(folder, "checkpoint", checkpoint["path"], checkpoint["sha256"])
    if found.outcome == "differs":
        found = replace(found, hint=f"{RESTORE}, or make it again with hpo train")
    if found.outcome == "unknown" and folder.study_file.is_file():
        hint = "hpo train makes it again; hpo verify --level 2 compares it with its hash"
        found = unknown(0, "checkpoint", found.what, hint)
    yield found


def _file(folder: StudyFolder, name: str, path: str, sha256: str) -> Check:
    place = folder.path / path
    if not place.is_file():
        return unknown(0, name, f"{path} is not there", BESIDE)
    try:
        digest = file_sha256(place)
    except OSError as error:
        return unknown(0, name, f"{path}: {error.strerror}", "verify it as a user who may read it")
    if digest != sha256:
        return differs(0, name, f"{path} is another file: {told(sha256, digest)}", RESTORE)
    return equal(0, name, f"{path}, {digest[:12]}…")


def _record(best: BestConfig, folder: StudyFolder) -> tuple[TrialRecord | None, list[Check]]:
    """Hold the file against the record of its trial, whose sections it repeats."""
    trial = folder.trial(best.study["trial"])
    name = f"trials/{trial.name}/result.json"
    if not (trial / "result.json").is_file():
        return None, [unknown(0, "record", f"{name} is not there", BESIDE)]
    try:
        record = read_record(trial / "result.json", TrialRecord)
    except UsageError as error:
        return None, [differs(0, "record", f"{name} {error.what}", RESTORE)]
    wrong = _first_difference(_repeated(best, record), best.model_dump(mode="json"))
    if wrong is not None:
        path, recorded, claimed = wrong
        what = f"{path} is {claimed!r}, but {name} says {recorded!r}"
        return None, [differs(0, "record", what, RESTORE)]
    if config_sha256(record.config) != record.config_sha256:
        return None, [differs(0, "record", f"{name}: its config has another hash", RESTORE)]
    check = _curve(best, trial)
    return record, [check or equal(0, "record", f"{name} and its curve say the same")]


def _repeated(best: BestConfig, record: TrialRecord) -> dict[str, Any]:
    """Return what the record says of what the file says: the file's sections, made of it."""
    run, metric = record.run, best.metric["name"]
    if run is None:
        return {"metric": {"value": None}}
    config = record.config
    return {
        "config": config,
        "config_sha256": record.config_sha256,
        "searched": sorted(record.params),
        "metric": {
            "name": config["objective"]["metric"],
            "direction": config["objective"]["direction"],
            "value": run.value,
            "epoch": run.best_epoch,
            "n_examples": run.n_validated,
            "others": others_of(run, metric),
            **({} if run.folds is None else {"folds": run.folds}),
        },
        "study": {"trial": record.number},
        "training": training_section(config, run),
        "seeds": {"trial": record.seed},
        "data": data_section(config, run),
        "checkpoint": checkpoint_section(record.number, run),
        "environment": {"threads": config["trainer"]["threads"], "device": run.device},
    }


def _first_difference(
    recorded: Mapping[str, Any], claimed: Mapping[str, Any], path: str = ""
) -> tuple[str, Any, Any] | None:
    """Return the first key whose value is another in ``claimed``: path, recorded, claimed."""
    for key, value in recorded.items():
        place, other = f"{path}.{key}" if path else key, claimed.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            below = _first_difference(value, other, place)
            if below is not None:
                return below
        elif value != other:
            return place, value, other
    return None


def _curve(best: BestConfig, trial: Path) -> Check | None:
    """Return a check that the curve says otherwise at the best epoch; None if it says the same."""
    name = f"trials/{trial.name}/curve.csv"
    if not (trial / "curve.csv").is_file():
        return unknown(0, "curve", f"{name} is not there", BESIDE)
    metric = best.metric
    try:
        with (trial / "curve.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        at = [row for row in rows if row["epoch"] == f"{metric['epoch']:g}"]
        row = (rows if "folds" in metric else at)[-1]
        found = {metric["name"]: float(row["objective"])}
        named = {key.removeprefix("val/"): text for key, text in row.items() if key}
        found |= {key: float(named[key]) for key in metric["others"] if named.get(key)}
    except (ValueError, KeyError, TypeError, IndexError):
        return differs(0, "curve", f"{name} is damaged", RESTORE)
    claimed = {metric["name"]: metric["value"], **metric["others"]}
    wrong = next((key for key, value in found.items() if value != claimed[key]), None)
    if wrong is None:
        return None
    where = f"{name}, epoch {row['epoch']}: {wrong}"
    return differs(0, "curve", f"{where}: {told(claimed[wrong], found[wrong])}", RESTORE)


def _study(best: BestConfig, folder: StudyFolder, record: TrialRecord | None) -> Iterator[Check]:
    """Yield what the study says: the file is its own, the trial its best, the code the same."""
    try:
        stored = read_record(folder.fingerprint, Fingerprint)
    except UsageError as error:
        yield differs(0, "study", f"fingerprint.json {error.what}", "hpo doctor --repair")
        return
    if stored.uuid != best.study["uuid"]:
        what = f"the file is of another study: {told(stored.uuid, best.study['uuid'])}"
        yield differs(0, "study", what, BESIDE)
        return
    if record is not None:
        yield from _best_of_all(best, folder)
        if not stored.changes:
            yield from _settings(best, folder, record)
    yield from _code(stored)


def _best_of_all(best: BestConfig, folder: StudyFolder) -> Iterator[Check]:
    """Check that no trial is better; one that fresh seeds chose is the best of theirs."""
    try:
        records = read_trials(folder)
        seeds = read_seeds(folder)
    except UsageError as error:
        yield differs(0, "best trial", f"{error.where} {error.what}", "hpo doctor --repair")
        return
    number, direction = best.study["trial"], best.metric["direction"]
    first, running = best_of(records, direction), folder.owner() is not None
    chosen = seeds is not None and seeds.chosen == number and "chosen_because" in best.study
    if first is not None and first.number != number and not chosen and not running:
        what = f"trial {first.number} is better: {first.value!r} against {best.metric['value']!r}"
        yield differs(0, "best trial", what, "run the study again: it finds its best trial")
        return
    # The tallies of one that was killed are a second old.
    behind = running or best.study.get("still_running", False)
    wrong = None if behind else _first_difference(_tallied(records), best.model_dump(mode="json"))
    if wrong is not None:
        path, recorded, claimed = wrong
        what = f"{path} is {claimed!r}, but the records of all trials say {recorded!r}"
        yield differs(0, "best trial", what, RESTORE)
        return
    complete = sum(one.has_rank for one in records)
    how = "chosen by fresh seeds" if chosen else f"the best of {complete} complete"
    yield equal(0, "best trial", f"trial {number}, {how}")


def _tallied(records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return what the records of all trials say of what the file says."""
    default = default_of(records)
    value = default.value if default else None
    return {
        "metric": {"baseline": {"default_config": value}},
        "study": {"trials": counts(records)},
    }


def _settings(best: BestConfig, folder: StudyFolder, record: TrialRecord) -> Iterator[Check]:
    """Check that what the search sampled is what was trained: no setting came from elsewhere."""
    try:
        spec = with_kept(load_study(folder.study_file), folder)
        config = spec.space.resolve(record.params, seed=record.seed).portable()
    except (HpoError, KeyError, ValueError) as error:
        what = f"study.yaml cannot be read here ({str(error).splitlines()[0]})"
        yield unknown(0, "settings", what, "name the study's own code with --plugin")
        return
    wrong = _first_difference(_no_place(config), _no_place(best.config))
    if wrong is not None:
        path, expected, found = wrong
        what = f"{path}: study.yaml and the trial's parameters {told(expected, found)}"
        yield differs(0, "settings", what, RESTORE)
        return
    yield equal(0, "settings", "study.yaml with the trial's parameters gives this config")


def _no_place(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the place of its data, which are known by their content."""
    data = config.get("data") or {}
    return {**config, "data": {key: value for key, value in data.items() if key != "path"}}


def _code(stored: Fingerprint) -> Iterator[Check]:
    """Check the user's own code, where the study had any, and the files that it was given."""
    loaded = {Path(plugin.name).name: plugin.sha256 for plugin in loaded_plugins()}
    for name, digest in stored.plugins.items():
        last = Path(name).name
        if digest is None:
            continue
        if last not in loaded:
            yield unknown(0, f"plugin {last}", "its code was not named", f"add --plugin {name}")
        elif loaded[last] != digest:
            what = f"its code is another: {told(digest, loaded[last])}"
            yield differs(0, f"plugin {last}", what, "restore the code of the study")
        else:
            yield equal(0, f"plugin {last}", f"{digest[:12]}…")
    files: Mapping[str, str] = (stored.model_extra or {}).get("files", {})
    for name, digest in files.items():
        place = Path(name)
        if not place.is_file():
            yield unknown(0, f"file {place.name}", "is not there", "verify from the study's place")
        elif hashlib.sha256(place.read_bytes()).hexdigest() != digest:
            what = f"{place.name} has other content than the study was given"
            yield differs(0, f"file {place.name}", what, "restore it")
