"""BestConfig: the best config of a study with everything needed to retrain and to judge it."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.records import TrialRecord, ranked
from hpo.sections import (
    CheckpointSection,
    ConstraintSection,
    DataSection,
    EnvironmentSection,
    ExpectSection,
    MetricSection,
    OpenedSection,
    ReproduceSection,
    SeedsSection,
    Sha256,
    StudySection,
    TrainingSection,
    VerifiedSection,
)
from lightning_modules.result import RunResult

BEST_SCHEMA = "hpo.best_config/1"
SHARE_METRICS = ("accuracy", "subset_accuracy", "val_acc", "val_accuracy")
Json = dict[str, Any]


class BestConfig(BaseModel):
    """The best config of a study, with everything needed to retrain, judge and verify it."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    schema_name: Literal["hpo.best_config/1"] = Field(alias="schema")
    summary: str
    config: Json
    """Every decision of the training: the sections of a study file, all decided."""
    config_sha256: Sha256
    """Of the config as JSON with sorted keys and without spaces."""
    searched: list[str]
    """The parameters that the search decided, by their dotted paths."""
    metric: MetricSection
    test: OpenedSection
    constraints: list[ConstraintSection]
    study: StudySection
    training: TrainingSection
    seeds: SeedsSection
    data: DataSection
    checkpoint: CheckpointSection
    environment: EnvironmentSection
    expect: ExpectSection
    reproduce: ReproduceSection
    verified: VerifiedSection | None = None
    """The stamp of the last verification; it is part of no hash."""
    null_because: dict[str, str]
    """Why each null outside of ``config`` is null, by its dotted path."""
    created_utc: str


def best_of(records: Sequence[TrialRecord], direction: str) -> TrialRecord | None:
    """Return the best complete trial, None if there is none; one with weights of its own."""
    complete = [record for record in records if record.has_rank]
    return ranked(complete, direction)[0] if complete else None


def default_of(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the record of the default config: trial 0."""
    return next((r for r in records if r.number == 0 and "default" in r.notes), None)


def basis(run: RunResult | None) -> str:
    """Return what a value rests on, in words."""
    if run is None or run.folds is None:
        return "one seed"
    if len(run.folds) == 1:
        return "one fold"
    return f"mean of {len(run.folds)} folds, sd {statistics.stdev(run.folds):.2g}"


def wilson(share: float, n: int) -> list[float]:
    """Return the 95 % interval of a share of ``n`` rows (Wilson, 1927)."""
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return [round(max(centre - spread, 0.0), 6), round(min(centre + spread, 1.0), 6)]
