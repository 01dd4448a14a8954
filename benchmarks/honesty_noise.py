"""The noise of a real study, which the simulated ones of `benchmarks.honesty` have."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo.seeds import SeedsRecord

SEED = 20261121
REFERENCE = Path("results/reference")
NOISE_FILE = REFERENCE / "honesty-noise.json"


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What chance does in a real study, by a recorded evaluation of it."""

    study: str
    metric: str
    runs: int
    within: float
    """The sd of a config's value over seeds, pooled."""
    residuals: list[float]
    """Each run's value minus its config's mean, scaled to have that sd."""
    between: float
    """The sd of the true means of the trials that were complete, the noise of seeds taken out."""
    gap: float
    """The mean of the best configs minus that of the default."""
    rows: list[list[int]]
    """How many test rows the best config got right with i, the default with j of the seeds."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of the table."""

    what: str
    wanted: str
    found: str
    holds: bool


Part = Callable[[Noise], list[Row]]


def measure(folder: Path) -> Noise:
    """Return the noise of a study that `hpo evaluate --seeds 5 --test` has been run on."""
    from hpo.layout import StudyFolder
    from hpo.records import read_trials
    from hpo.seeds import read_seeds

    study = StudyFolder(folder)
    record = read_seeds(study)
    if record is None or record.default is None:
        raise SystemExit(
            f"{folder}: hpo evaluate {study.name} --top 3 --seeds 5 --test comes first"
        )
    columns = [np.array(config.values) for config in record.configs]
    off = [
        (column - column.mean()) * math.sqrt(len(column) / (len(column) - 1)) for column in columns
    ]
    freedom = sum(len(column) - 1 for column in columns)
    within = math.sqrt(sum(float(((c - c.mean()) ** 2).sum()) for c in columns) / freedom)
    complete = [r.value for r in read_trials(study) if r.has_rank and r.value is not None]
    between = math.sqrt(max(float(np.var(complete, ddof=1)) - within**2, 0.0))
    best = [c.mean() for c, k in zip(columns, record.configs, strict=True) if not k.is_default]
    return Noise(
        study=study.name,
        metric=record.metric,
        runs=sum(map(len, columns)),
        within=within,
        residuals=[round(float(value), 6) for column in off for value in column],
        between=between,
        gap=float(np.mean(best) - np.mean(record.default.values)),
        rows=_right_rows(study.path, record),
    )


def _right_rows(place: Path, record: SeedsRecord) -> list[list[int]]:
    from hpo.local import read_config
    from lightning_modules.build import open_data
    from lightning_modules.restore import score

    right = []
    for trial in (record.chosen, record.default.trial if record.default else 0):
        config = record.config(trial)
        sums: Any = 0
        for run in config.runs if config else []:
            settings = read_config(place / run.folder / "config.json")
            data = open_data(settings, with_test=True)
            scored = score(settings, place / run.folder / "best.ckpt", split="test", data=data)
            if scored.outputs is None or scored.targets is None:
                raise SystemExit(f"{record.study}: rows of a user's own module are not known")
            sums = sums + (scored.outputs.argmax(dim=1) == scored.targets).int().numpy()
        right.append(sums)
    table = np.zeros((len(record.seeds) + 1,) * 2, dtype=int)
    np.add.at(table, (right[0], right[1]), 1)
    return [[int(count) for count in row] for row in table]


def read_noise() -> Noise:
    """Return the noise that was measured."""
    return Noise(**json.loads(NOISE_FILE.read_text(encoding="utf-8")))
