"""Do the intervals of `hpo evaluate` cover, is what it tells free of optimism? See `honesty`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.honesty_noise import SEED, Noise, Row
from hpo.reseed.judging import judged, with_tests
from hpo.reseed.rows import row_spread, with_rows
from hpo.seeds import SeededConfig, SeedRun, SeedsRecord
from hpo.statistics import Interval, mean_interval

STUDIES, ROW_STUDIES = 3000, 1000
TRIALS, TOP = 20, 3
COVER = (0.93, 0.97)


@dataclass(frozen=True, kw_only=True)
class World:
    """How simulated studies are made."""

    name: str
    seeds: int = 5
    spread: float = 1.0
    """The sd of true means between trials, as a multiple of the measured one; 0: all are equal."""
    normal: bool = True
    """Draw noise from a normal distribution; else from the residuals of real runs."""


WORLDS = (
    World(name="as measured, 5 seeds"),
    World(name="as measured, 3 seeds", seeds=3),
    World(name="as measured, 10 seeds", seeds=10),
    World(name="as measured, 5 seeds, residuals of the real runs", normal=False),
    World(name="all configs equal, 5 seeds", spread=0.0),
    World(name="ten times as far apart, 5 seeds", spread=10.0),
)


class Drawn:
    """Means and intervals of many studies, held against the truth."""

    def __init__(self) -> None:
        self.covered: list[bool] = []
        self.left: list[float] = []

    def add(self, interval: Interval, truth: float) -> None:
        if interval.low is None or interval.high is None:
            raise ValueError("an interval over several seeds has ends")
        self.covered.append(interval.low <= truth <= interval.high)
        self.left.append(interval.mean - truth)

    def coverage(self, what: str) -> Row:
        share, n = float(np.mean(self.covered)), len(self.covered)
        low, high = COVER
        wanted = f"{low:.0%}–{high:.0%}"
        return Row(
            what=f"95 % interval of {what}",
            wanted=wanted,
            found=f"{share:.1%} of {n:,}",
            holds=low <= share <= high,
        )


def evaluate_part(noise: Noise) -> list[Row]:
    """Return how `hpo evaluate --top 3 --seeds N` does in studies of several kinds."""
    rows = []
    for number, world in enumerate(WORLDS):
        rows += _of_world(noise, world, np.random.default_rng([SEED, number]))
    return rows + _of_rows(noise, np.random.default_rng([SEED, 99]))


def _of_world(noise: Noise, world: World, random: np.random.Generator) -> list[Row]:
    single, worth, gain, before = Drawn(), Drawn(), Drawn(), []
    for _ in range(STUDIES):
        truth, record = _study(noise, world, random)
        first = record.configs[0]
        if first.interval is None or record.worth is None or record.gain is None:
            raise ValueError("every simulated run has a value")
        single.add(first.interval, truth[first.trial])
        worth.add(record.worth, truth[record.chosen])
        default = record.default
        if default is None or record.optimism is None:
            raise ValueError("every simulated study has a default")
        others = [c for c in record.configs if not c.is_default]
        best = max(others, key=lambda c: sum(c.values))
        gain.add(record.gain, truth[best.trial] - truth[default.trial])
        before.append((first.search_value or 0.0) - truth[first.trial])
    left = mean_interval([value / noise.within for value in worth.left])
    seen = mean_interval([value / noise.within for value in before])
    return [
        single.coverage(f"one config's mean ({world.name})"),
        worth.coverage("what the chosen of them is worth"),
        gain.coverage("its gain over the default"),
        Row(
            what="optimism left after evaluate, in sd of seeds; of the search's value before",
            wanted="0 within",
            found=f"{left.mean:+.3f} [{left.low:+.3f}, {left.high:+.3f}]; {seen.mean:+.2f}",
            holds=(left.low or 0) <= 0 <= (left.high or 0),
        ),
    ]


def _study(
    noise: Noise, world: World, random: np.random.Generator
) -> tuple[dict[int, float], SeedsRecord]:
    """Simulate a search and an evaluation of its best; return the true means and the record."""
    means = random.normal(0.0, world.spread * noise.between, TRIALS)
    means[0] = -noise.gap if world.spread else 0.0
    seen = means + _noise(noise, world, random, TRIALS)
    top = list(np.argsort(-seen)[:TOP])
    numbers = [*map(int, top), *([] if 0 in top else [0])]
    configs = []
    for number in numbers:
        values = means[number] + _noise(noise, world, random, world.seeds)
        configs.append(_config(number, float(seen[number]), values))
    record = judged(
        configs,
        study="simulated",
        objective=(noise.metric, "maximize"),
        seeds=range(world.seeds),
        as_of_utc="",
    )
    return {number: float(means[number]) for number in numbers}, record


def _noise(noise: Noise, world: World, random: np.random.Generator, n: int) -> Any:
    if world.normal:
        return random.normal(0.0, noise.within, n)
    return random.choice(noise.residuals, n)


def _config(number: int, seen: float, values: Sequence[float]) -> SeededConfig:
    runs = [
        SeedRun(
            seed=seed,
            value=float(value),
            test=None,
            failed=None,
            folder="",
            checkpoint_sha256=None,
        )
        for seed, value in enumerate(values)
    ]
    return SeededConfig(
        trial=number,
        is_default=number == 0,
        config_sha256="",
        search_value=seen,
        runs=runs,
    )


def _of_rows(noise: Noise, random: np.random.Generator) -> list[Row]:
    """Return whether the gain on a test split holds for rows that were not in it."""
    table = np.array(noise.rows, dtype=float)
    n_seeds, n_rows = table.shape[0] - 1, int(table.sum())
    cells = [(i / n_seeds, j / n_seeds) for i in range(n_seeds + 1) for j in range(n_seeds + 1)]
    shares = np.array(cells)
    weights = (table / table.sum()).reshape(-1)
    truth = float(weights @ (shares[:, 0] - shares[:, 1]))
    seeds_only, both = Drawn(), Drawn()
    for _ in range(ROW_STUDIES):
        kinds = random.choice(len(cells), n_rows, p=weights)
        right = random.random((n_seeds, n_rows, 2)) < shares[kinds]
        tests = {
            (1 - side, s): float(right[s, :, side].mean())
            for side in (0, 1)
            for s in range(n_seeds)
        }
        configs = [_config(n, 0.0, [tests[n, s] for s in range(n_seeds)]) for n in (1, 0)]
        record = judged(
            configs,
            study="simulated",
            objective=(noise.metric, "maximize"),
            seeds=range(n_seeds),
            as_of_utc="",
        )
        gain = with_tests(record, tests).gain_test
        apart = right[:, :, 0].astype(float) - right[:, :, 1]
        spread = row_spread(
            [lambda rows, d=one: float(d[rows].mean()) for one in apart], n_rows, seed=1
        )
        if gain is None or spread is None:
            raise ValueError("every simulated study has a gain")
        seeds_only.add(gain, truth)
        both.add(with_rows(gain, spread), truth)
    share = float(np.mean(seeds_only.covered))
    row = both.coverage(f"the gain on {n_rows} test rows, for rows never seen")
    found = f"{row.found}; over seeds alone, which speaks of these rows: {share:.1%}"
    return [Row(what=row.what, wanted=row.wanted, found=found, holds=row.holds)]
