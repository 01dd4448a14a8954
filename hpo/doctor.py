"""Examine the machine, the storage and the records; rebuild a storage, give back lost trials."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from hpo.best import BestConfig
from hpo.errors import EnvironmentFault, HpoError
from hpo.grammar.imported import ImportedSpace
from hpo.layout import StudyFolder, find_studies
from hpo.logs import log_to
from hpo.records import TrialRecord, read_record
from hpo.settle import settle
from hpo.spec import StudySpec, load_study
from hpo.storage.removal import stored_trials
from hpo.storage.writer import StudyStorage, damage_of, sqlite_file, sqlite_url
from lightning_modules.config import ObjectiveConfig

PACKAGES = ("torch", "pytorch-lightning", "optuna")
LITTLE_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    sound: bool = True


def examine(results: Path, storage: str | None = None) -> Iterator[Finding]:
    """Yield what is found of the machine, the storage, and the records of every study."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    yield Finding(f"Python {platform.python_version()}, {versions}")
    yield Finding(f"{os.cpu_count()} cores")
    above = (results.absolute(), *results.absolute().parents)
    place = next(path for path in above if path.exists())
    free = shutil.disk_usage(place).free / 1e9
    yield Finding(f"{free:.1f} GB free below {place}", sound=free >= LITTLE_GB)
    writable = place.is_dir() and os.access(place, os.W_OK)
    yield Finding(f"{place} can {'be' if writable else 'not be'} written", sound=writable)
    url = storage or sqlite_url(results / "storage.sqlite")
    file = sqlite_file(url)
    damage = damage_of(file) if file is not None else None
    if damage is not None:
        yield Finding(f"{file}: is damaged ({damage})", sound=False)
    for folder in find_studies(results):
        yield from _examine_study(folder, None if damage else url)


def repair(results: Path, storage: str | None = None) -> Iterator[str]:
    """Rebuild a damaged storage from the records, and have trials without a record trained again.

    Yields what was done. What is damaged is kept under another name.

    Raises:
        EnvironmentFault: if a study is running.
        HpoError: if a study file cannot be read, as a plugin of it was not named; the other studies
            are repaired before.
    """
    url = storage or sqlite_url(results / "storage.sqlite")
    file = sqlite_file(url)
    if file is not None and damage_of(file) is not None:
        kept = _set_aside(file)
        for part in ("-wal", "-shm"):
            file.with_name(file.name + part).unlink(missing_ok=True)
        yield f"{file} was damaged, and is kept as {kept.name}"
    left: HpoError | None = None
    for folder in find_studies(results):
        try:
            spec = load_study(folder.study_file)
        except HpoError as error:  # it needs a plugin; the others do not
            left = left or error
            yield f"{folder.name} was left as it is: {error}"
            continue
        with folder.owned():
            yield from _repair_study(folder, spec, url)
    if left is not None:
        raise left


def _examine_study(folder: StudyFolder, url: str | None) -> Iterator[Finding]:
    records, damaged = _records(folder)
    yield from (Finding(f"{file}: is damaged", sound=False) for file in damaged)
    if url is None or damaged:
        return
    try:
        spec = load_study(folder.study_file)
        stored = stored_trials(url, spec.name)
        lost = [] if stored is None else _lost(spec, url, records)
    except HpoError as error:
        yield Finding(f"{folder.name}: {error}", sound=False)
        return
    for number in lost:
        yield Finding(f"{folder.name}: the record of trial {number} is gone", sound=False)
    if stored is None and records:
        what = "are not in the storage; hpo run, or hpo doctor --repair, puts them there"
        yield Finding(f"{folder.name}: {len(records)} trials on record {what}", sound=False)
    elif not lost:
        yield Finding(f"{folder.name}: {len(records)} trials on record")


def _repair_study(folder: StudyFolder, spec: StudySpec, url: str) -> Iterator[str]:
    records, damaged = _records(folder)
    for file in damaged:
        yield f"{file} was damaged, and is kept as {_set_aside(file).name}"
    database = _open(spec, url)
    try:
        known = len(database.trials())
        for trial in _without_record(database.trials(), records):
            database.give_back(trial.number)
            yield f"{folder.name}: trial {trial.number} is trained again at the next hpo run"
        rebuilt = len(settle(database, folder, spec.space, records)) - known
        database.finish_writing()
    finally:
        database.close()
    if rebuilt:
        yield f"{folder.name}: {rebuilt} trials were put back into the storage"


def _lost(spec: StudySpec, url: str, records: Sequence[TrialRecord]) -> list[int]:
    database = _open(spec, url)
    try:
        return [trial.number for trial in _without_record(database.trials(), records)]
    finally:
        database.close()


def _without_record(
    trials: Sequence[FrozenTrial], records: Sequence[TrialRecord]
) -> list[FrozenTrial]:
    numbers = {record.number for record in records}
    return [t for t in trials if t.state.is_finished() and t.number not in numbers]


def _open(spec: StudySpec, url: str) -> StudyStorage:
    imported = spec.space.imported
    objective: ImportedSpace | ObjectiveConfig
    objective = imported or spec.space.resolve(spec.space.defaults()[0].params).objective
    direction, metric = objective.direction, objective.metric
    with log_to(None):
        return StudyStorage(url, study=spec.name, direction=direction, metric=metric)


def _records(folder: StudyFolder) -> tuple[list[TrialRecord], list[Path]]:
    """Return the sound records of a study, and the files of those that are not."""
    sound: list[TrialRecord] = []
    damaged: list[Path] = []
    files = [path / "result.json" for path in folder.trial_folders()]
    for file in [*files, folder.best_config]:
        if not file.is_file():
            continue
        try:
            if file == folder.best_config:
                read_record(file, BestConfig)
            else:
                sound.append(read_record(file, TrialRecord))
        except HpoError:
            damaged.append(file)
    return sound, damaged


def _set_aside(file: Path) -> Path:
    """Give a damaged file another name, which is free."""
    names = (file.with_name(f"{file.name}.damaged-{count}") for count in range(1, 1000))
    kept = next((name for name in names if not name.exists()), None)
    if kept is None:
        raise EnvironmentFault(str(file), "was set aside too often", "remove its old copies")
    file.rename(kept)
    return kept
