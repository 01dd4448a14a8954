"""Evidence: the values of a study's best config that its search has not chosen it by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hpo.compare.sides import Side
from hpo.seeds import SeededConfig
from hpo.statistics import Interval, mean_interval

Split = Literal["validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one study's best config."""

    label: str
    split: Split = "validation"
    direction: str
    trial: int | None
    config: str | None
    """Its hash, its own seed in it."""
    search_value: float | None
    """Of the one network that the search left: the value that chose it; on the test split, the
    value when that was opened."""
    by_seed: Mapping[int, float]
    """Values of fresh seeds; empty before ``hpo evaluate --seeds``."""
    failed: int
    """How many fresh seeds ended without a value."""
    folds: Sequence[float]
    """Values of the folds, which the search chose it by; empty without folds."""
    candidates: int
    """Among how many configs these very values chose it."""
    stale: int | None
    """The trial that the fresh seeds are of, if the search found a better one since."""
    n_rows: int | None
    """How many rows a value is a share of; None for metrics that are no share."""

    @property
    def interval(self) -> Interval | None:
        """The mean over the fresh seeds."""
        return mean_interval(list(self.by_seed.values())) if self.by_seed else None

    @property
    def level(self) -> float | None:
        """The mean over fresh seeds; the search's value where there are none."""
        return self.interval.mean if self.interval else self.search_value


def evidence_of(side: Side, split: Split = "validation") -> Evidence:
    """Return what the records of a study know of its best config on a split."""
    trial = side.best_trial
    seeded, stale = _seeded(side)
    chosen = side.seeds is not None and seeded is not None and split == "validation"
    folds = trial.run.folds if trial and trial.run and split == "validation" else None
    return Evidence(
        label=side.label,
        split=split,
        direction=side.direction,
        trial=trial.number if trial else None,
        config=trial.config_sha256 if trial else None,
        search_value=_one_value(side, split),
        by_seed=_values(seeded, split) if seeded else {},
        failed=len(seeded.failures) if seeded else 0,
        folds=folds or (),
        candidates=len(side.seeds.configs) if side.seeds and chosen else 1,
        stale=stale,
        n_rows=side.n_rows(split),
    )


def _seeded(side: Side) -> tuple[SeededConfig | None, int | None]:
    """Return the runs of the best config with fresh seeds; of an earlier one, which trial's."""
    record, trial = side.seeds, side.best_trial
    if record is None:
        return None, None
    found = record.config(trial.number) if trial else None
    if found is not None and trial is not None and found.config_sha256 == trial.config_sha256:
        return found, None
    return record.config(record.chosen), record.chosen


def _one_value(side: Side, split: Split) -> float | None:
    if split == "test":
        return side.best.test["value"] if side.best else None
    return side.best_trial.value if side.best_trial else None


def _values(config: SeededConfig, split: Split) -> dict[int, float]:
    pairs = ((run.seed, run.test if split == "test" else run.value) for run in config.runs)
    return {seed: value for seed, value in pairs if value is not None}
