"""Material: everything that the records of a study hold for those who look at it; no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.best import best_of, default_of
from hpo.errors import UsageError
from hpo.files import read_document
from hpo.grammar.imported import IMPORTED
from hpo.insight.axes import Axis, axes_of
from hpo.layout import StudyFolder
from hpo.records import (
    Fingerprint,
    TrialRecord,
    read_curve,
    read_record,
    read_trials,
)
from hpo.seeds import SeedsRecord, read_seeds
from hpo.words import describe_config, plain_value
from lightning_modules.task import METRICS


@dataclass(frozen=True, kw_only=True)
class Material:
    """One study as its folder tells it."""

    folder: StudyFolder
    name: str
    values: Mapping[str, Any]
    """The study file, resolved."""
    axes: tuple[Axis, ...]
    records: tuple[TrialRecord, ...]
    """By number."""
    curves: Mapping[int, Mapping[int, float]]
    metric: str
    direction: str
    file: Mapping[str, Any]
    """``best_config.json`` as it stands, also one of another version; empty if there is none."""
    seeds: SeedsRecord | None
    fingerprint: Fingerprint | None
    running: bool

    @property
    def imported(self) -> bool:
        """Whether Optuna alone ran it: there is no config to train again."""
        return IMPORTED in self.values

    @property
    def maximize(self) -> bool:
        """Whether higher is better."""
        return self.direction == "maximize"

    @property
    def best(self) -> TrialRecord | None:
        """The trial whose config is the best one; that of the file, which seeds may have moved."""
        chosen = (self.file.get("study") or {}).get("trial")
        named = [r for r in self.records if r.number == chosen and r.state == "complete"]
        return named[0] if named else best_of(self.records, self.direction)

    @property
    def default(self) -> TrialRecord | None:
        """The default config's trial, whatever became of it."""
        return default_of(self.records)

    @property
    def search(self) -> Mapping[str, Any]:
        """The study file's section of that name."""
        found = self.values.get("search")
        return found if isinstance(found, Mapping) else {}

    def gain(self, value: float, than: float) -> float:
        """Return by how much a value is better than another one."""
        return value - than if self.maximize else than - value


def described(record: TrialRecord) -> str:
    """Return a trial in a few words; one of an imported study, without a config, by its values."""
    if isinstance(record.config.get("model"), dict):
        return describe_config(record.config)
    return " ".join(f"{name}={plain_value(value)}" for name, value in record.params.items())


def read_material(folder: StudyFolder) -> Material:
    """Read a study.

    Raises:
        UsageError: if one of its records is damaged; ``hpo doctor --repair`` mends it.
    """
    values = read_document(folder.study_file).values
    records = read_trials(folder)
    file = _plain(folder.best_config) if folder.best_config.exists() else {}
    stamp = folder.fingerprint
    metric, direction = _objective(values, records, file)
    return Material(
        folder=folder,
        name=str(values.get("name", folder.name)),
        values=values,
        axes=tuple(axes_of(values, records)),
        records=tuple(records),
        curves={r.number: read_curve(folder.trial(r.number)) for r in records},
        metric=metric,
        direction=direction,
        file=file,
        seeds=read_seeds(folder),
        fingerprint=read_record(stamp, Fingerprint) if stamp.exists() else None,
        running=folder.owner() is not None,
    )


def _plain(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        hint = "hpo doctor --repair mends the study"
        raise UsageError(str(path), "is damaged: no JSON", hint) from None
    return found if isinstance(found, dict) else {}


def _objective(
    values: Mapping[str, Any], records: list[TrialRecord], file: Mapping[str, Any]
) -> tuple[str, str]:
    metric = file.get("metric")
    if isinstance(metric, Mapping) and "name" in metric and "direction" in metric:
        return str(metric["name"]), str(metric["direction"])
    said = [record.config.get("objective") for record in records]
    said += [values.get("objective"), values.get(IMPORTED)]
    for one in said:
        if isinstance(one, Mapping) and "metric" in one:
            name = str(one["metric"])
            known = METRICS[name].direction if name in METRICS else "maximize"
            return name, str(one.get("direction") or known)
    return "objective", "maximize"
