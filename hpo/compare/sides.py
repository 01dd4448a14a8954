"""Side: what a comparison reads of one study, from its records alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.best import BestConfig, best_of
from hpo.errors import StudyError, UsageError
from hpo.files import read_document
from hpo.layout import DEFAULT_RESULTS, StudyFolder
from hpo.records import Fingerprint, TrialRecord, read_record, read_trials
from hpo.seeds import SeedsRecord, read_seeds

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
Hashes = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the studies that are compared."""

    label: str
    """Its name; its path where two have the same name."""
    folder: StudyFolder
    records: Sequence[TrialRecord]
    """In the order in which the trials ended."""
    best: BestConfig | None
    """None while no trial is complete, and of an imported study."""
    settings: Mapping[str, Any]
    """The study file."""
    uuid: str | None
    hashes: Hashes
    """Of ``data`` and ``split``; None for a data module of the user's own."""
    plugins: Hashes
    changed: bool
    """Whether settings were changed along the way, with ``--allow-change``."""
    seeds: SeedsRecord | None
    """What fresh seeds came to; None before ``hpo evaluate --seeds``."""
    packages: Mapping[str, str]
    """The installed packages when the study was made, and their versions."""
    running: bool

    @property
    def given(self) -> str:
        """How a command names it: a path, unless it lies where commands look first."""
        usual = self.folder.path == Path(DEFAULT_RESULTS) / self.folder.name
        return self.folder.name if usual else str(self.folder.path)

    @property
    def config(self) -> Mapping[str, Any]:
        """The config of one trial: what all trials have in common stands in it."""
        return self.records[0].config

    @property
    def metric(self) -> str:
        """The objective."""
        return str(self.config["objective"]["metric"])

    @property
    def direction(self) -> str:
        """Which values of the objective are better."""
        return str(self.config["objective"]["direction"])

    @property
    def best_trial(self) -> TrialRecord | None:
        """The record of the best config's trial."""
        if self.best is None:  # an imported study has no config to train
            return best_of(self.records, self.direction)
        number = self.best.study["trial"]
        return next((record for record in self.records if record.number == number), None)

    def n_rows(self, split: str) -> int | None:
        """Return how many rows the objective is a share of; None for metrics that are no share."""
        if self.best is None or self.best.metric.get("ci95_examples") is None:
            return None
        if split == "validation":
            return self.best.metric.get("n_examples")
        return (self.best.data.get("n") or {}).get(split)


def read_sides(folders: Sequence[StudyFolder]) -> list[Side]:
    """Read the studies to compare.

    Raises:
        UsageError: if there are fewer than two, one is named twice, or a record is damaged.
        StudyError: if no trial of one has ended yet.
    """
    if len(folders) < 2:
        raise UsageError("compare", "needs two studies or more", "hpo list shows them")
    places = [folder.path.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise UsageError("compare", f"{folder.name} is named twice", "name another study")
    return [_read(folder, label) for folder, label in zip(folders, _labels(folders), strict=True)]


def _labels(folders: Sequence[StudyFolder]) -> list[str]:
    """Return names that tell the studies apart: the folders' names, as few of them as needed."""
    names = [folder.path.absolute().parts for folder in folders]
    for length in range(1, max(map(len, names)) + 1):
        labels = ["/".join(parts[-length:]) for parts in names]
        if len(set(labels)) == len(labels):
            break
    return labels


def _read(folder: StudyFolder, label: str) -> Side:
    records = sorted(read_trials(folder), key=lambda record: (record.ended_utc, record.number))
    if not records:
        raise StudyError(label, "no trial has ended yet", f"hpo run {folder.study_file}")
    best = read_record(folder.best_config, BestConfig) if folder.best_config.exists() else None
    made = read_record(folder.fingerprint, Fingerprint) if folder.fingerprint.exists() else None
    return Side(
        label=label,
        folder=folder,
        records=records,
        best=best,
        settings=read_document(folder.study_file).values,
        uuid=made.uuid if made else None,
        hashes=_hashes(records, made),
        plugins=made.plugins if made else {},
        changed=bool(made and made.changes),
        seeds=read_seeds(folder),
        packages=_packages(folder.environment),
        running=folder.owner() is not None,
    )


def _hashes(records: Sequence[TrialRecord], made: Fingerprint | None) -> dict[str, str | None]:
    """Return the hashes that the trials saw; those of the folder if none was trained."""
    for record in records:
        if record.run is not None:
            data = record.run.data
            return {"data": data.sha256, "split": data.split_sha256}
    stored = (made.model_extra if made else None) or {}
    return {name: stored.get(f"{name}_sha256") for name in ("data", "split")}


def _packages(file: Path) -> dict[str, str]:
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    found = (_PACKAGE.match(line) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match}
