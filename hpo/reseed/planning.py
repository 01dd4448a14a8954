"""Which configs are trained with which seeds, and what of it has been done already."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.best import default_of
from hpo.errors import StudyError, UsageError
from hpo.layout import StudyFolder
from hpo.local import local_config
from hpo.records import TrialRecord, config_sha256, ranked, read_record
from hpo.seeds import SeedsRecord
from lightning_modules.config import RunConfig
from lightning_modules.durable import file_sha256
from lightning_modules.result import RunResult
from lightning_modules.seeds import derive

RESULT = "result.json"
FINAL = ("nan",)
"""Reasons for which a run would fail again: the same seed gives the same numbers."""


class Outcome(BaseModel):
    """``result.json`` of a run: its presence means that the run has ended."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.run/1"] = Field("hpo.run/1", alias="schema")
    config: dict[str, Any]
    config_sha256: str
    run: RunResult | None = None
    failed: str | None = None
    """The reason of a run that failed, and what went wrong."""
    reason: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return the file's content."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trial whose config is trained again."""

    record: TrialRecord
    config: RunConfig
    """With its data found on this machine."""
    is_default: bool

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.record.number


@dataclass(frozen=True, kw_only=True)
class Run:
    """One config with one seed, in a folder of its own."""

    trial: int
    seed: int
    config: RunConfig
    recorded: dict[str, Any]
    """The config as records hold it: it does not say where the data are on this machine."""
    folder: Path

    @property
    def name(self) -> str:
        """The trial and which seed, for people."""
        return f"trial {self.trial} seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs of an evaluation, those included that earlier calls have trained."""

    candidates: list[Candidate]
    """As the search ranked them; the default last, unless it is among the best."""
    seeds: list[int]
    runs: list[Run]


def plan_runs(
    folder: StudyFolder,
    records: Sequence[TrialRecord],
    *,
    direction: str,
    asked: tuple[int, int, int],
    before: SeedsRecord | None,
    overrides: Sequence[str] = (),
) -> Plan:
    """Return what to train.

    Args:
        folder: of the study.
        records: of its trials.
        direction: ``maximize`` or ``minimize``.
        asked: how many of the best configs, with how many seeds, and which seed is the first.
        before: the last evaluation: its seeds all stay, and so does the config that it chose.
        overrides: where the data are.

    Raises:
        StudyError: if no trial is complete.
        UsageError: if an override changes more than the place of the data, or the evaluation
            before had other seeds.
    """
    top, n_seeds, first = asked
    complete = [record for record in ranked(records, direction) if record.has_rank]
    if not complete:
        raise StudyError(folder.name, "no trial is complete", f"hpo run {folder.study_file}")
    n_seeds = max(n_seeds, len(before.seeds) if before else 0)
    chosen = complete[:top]
    if before is not None:
        chosen += [record for record in complete[top:] if record.number == before.chosen]
    default = default_of(records)
    if default is not None and default not in chosen:
        chosen.append(default)
    candidates = [
        Candidate(
            record=record,
            config=_config(folder, record, overrides),
            is_default=default is not None and record.number == default.number,
        )
        for record in chosen
    ]
    seeds = fresh_seeds(n_seeds, taken={record.seed for record in records}, first=first)
    if before is not None and not set(before.seeds) <= set(seeds):
        hint = "give the same number as then, or evaluate a copy of the study"
        raise UsageError("--first-seed", f"{folder.name} was evaluated with other seeds", hint)
    return Plan(
        candidates=candidates,
        seeds=seeds,
        runs=[_run(folder, one, seed) for seed in seeds for one in candidates],
    )


def fresh_seeds(n: int, *, taken: set[int], first: int = 0) -> list[int]:
    """Return ``n`` seeds, none of which a trial has had.

    They are the same for all studies, so that studies can be compared seed by seed.

    >>> fresh_seeds(2, taken=set()) == fresh_seeds(3, taken=set())[:2]
    True
    >>> fresh_seeds(2, taken=set(), first=1) == fresh_seeds(3, taken=set())[1:]
    True
    """
    seeds: list[int] = []
    index = first
    while len(seeds) < n:
        seed = derive("evaluate", index)
        if seed not in taken and seed not in seeds:
            seeds.append(seed)
        index += 1
    return seeds


def outcome_of(run: Run) -> Outcome | None:
    """Return how a run ended; None if it has not, or left other weights than are there now."""
    file = run.folder / RESULT
    if not file.is_file():
        return None
    try:
        found = read_record(file, Outcome)
    except UsageError:
        return None
    if found.config_sha256 != config_sha256(run.recorded):
        return None
    if found.run is None:
        return found
    checkpoint = run.folder / found.run.checkpoint.path
    sound = checkpoint.is_file() and file_sha256(checkpoint) == found.run.checkpoint.sha256
    return found if sound else None


def is_final(outcome: Outcome | None) -> bool:
    """Return whether a run need not be trained again."""
    return outcome is not None and (outcome.run is not None or outcome.reason in FINAL)


def _config(folder: StudyFolder, record: TrialRecord, overrides: Sequence[str]) -> RunConfig:
    config = local_config(record.config, folder.best_config, overrides)
    if _but_place(config) != _but_place(RunConfig.model_validate(record.config)):
        what = f"{', '.join(overrides)} changes what the search has trained"
        raise UsageError("--set", what, "only the place of the data, data.path, can be set here")
    return config


def _but_place(config: RunConfig) -> dict[str, Any]:
    plain = config.portable()
    data = {name: value for name, value in plain["data"].items() if name != "path"}
    return {**plain, "data": data}


def _run(folder: StudyFolder, candidate: Candidate, seed: int) -> Run:
    return Run(
        trial=candidate.number,
        seed=seed,
        config=candidate.config.model_copy(update={"seed": seed}),
        recorded={**candidate.record.config, "seed": seed},
        folder=folder.evaluation / "seeds" / f"{candidate.number:04d}-{seed}",
    )
