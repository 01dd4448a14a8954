"""Choose among configs by their means over seeds, and take the luck of the choice out again.

The highest of several means is too high: part of what raised it is chance (the winner's curse).
So each seed's value is taken from the config that the *other* seeds choose; the mean of these
values owes nothing to the choice (the principle of cross-validation: Stone, 1974). As long as the
choice stays the same whichever seed is left out, that is the plain mean.

The interval is laid around the plain mean. The chosen of k equal configs misses its good side k
times as often, and its bad side hardly ever: so the good side is left at 2.5 %, and the other one
is at 5 % / k instead (Bonferroni). Both together miss 5 % when the configs are equal, and no more
when one of them is clearly best. For k = 2, and for one config alone, it is Student's interval.
Configs that are clearly worse compete with nobody, and do not count (as in the selection of
subsets: Gupta, 1965).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.statistics import Interval, Paired, mean_interval, paired, quantile_t

SAME = 1e-12
"""Means that differ by less, relatively, are equal."""
LEVEL = 0.95
CLEARLY = 0.01
"""A config whose paired difference to the chosen one has a smaller p does not compete."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which of several configs is best over common seeds."""

    chosen: int
    by_seed: list[int]
    """For every seed the config that the other seeds choose."""
    competitors: list[int]
    """The configs that could be the best by these values, the chosen one among them."""
    worth: Interval
    """Of the chosen one; its mean leaves out the luck of being chosen."""


def choose(values: Mapping[int, Sequence[float]], direction: str) -> Choice:
    """Return the config of the best mean; of equally good ones the first.

    Args:
        values: the objective of every config on the same seeds, by the number of its trial; those
            that the search ranked higher come first.
        direction: ``maximize`` or ``minimize``.

    Raises:
        ValueError: if there is no config, or one has other seeds.
    """
    n = {len(column) for column in values.values()}
    if len(n) != 1 or n == {0}:
        raise ValueError(f"configs need the same seeds, at least one; got {sorted(n)} values")
    (n_seeds,) = n
    chosen = _best(values, direction)
    by_seed = [chosen] * n_seeds
    if n_seeds > 1:
        by_seed = [_best(_without(values, seed), direction) for seed in range(n_seeds)]
    competitors = [config for config in values if _competes(values[chosen], values[config])]
    worth = _around(
        values[chosen],
        [values[config][seed] for seed, config in enumerate(by_seed)],
        competitors=len(competitors),
        direction=direction,
    )
    return Choice(chosen=chosen, by_seed=by_seed, competitors=competitors, worth=worth)


def gain_over(
    choice: Choice, values: Mapping[int, Sequence[float]], default: int, direction: str
) -> Paired:
    """Return what the chosen config is worth more than the default: chosen minus default.

    Args:
        choice: among all but the default. Were the default among them, a gain would be told
            where chance was kind to the others alone, and would be too high.
        values: as `choose` took them, and the default's; or on another split, by the same seeds.
        default: the number of the default config's trial.
        direction: ``maximize`` or ``minimize``.
    """
    base = values[default]
    plain = paired(values[choice.chosen], base)
    others = [values[config][seed] for seed, config in enumerate(choice.by_seed)]
    found = _around(
        [a - b for a, b in zip(values[choice.chosen], base, strict=True)],
        [a - b for a, b in zip(others, base, strict=True)],
        competitors=len(choice.competitors),
        direction=direction,
    )
    p = None if plain.p is None else min(1.0, plain.p * len(choice.competitors))
    return Paired(**{**vars(found), "p": p})


def optimism_of(worth: Interval, search_value: float) -> Interval:
    """Return by how much the search's value lies above what the config is worth."""
    return Interval(
        mean=search_value - worth.mean,
        sd=worth.sd,
        low=None if worth.high is None else search_value - worth.high,
        high=None if worth.low is None else search_value - worth.low,
        n=worth.n,
    )


def _best(values: Mapping[int, Sequence[float]], direction: str) -> int:
    sign = 1 if direction == "maximize" else -1
    means = {config: sign * math.fsum(found) for config, found in values.items()}
    highest = max(means.values())
    near = SAME * max(1.0, abs(highest))
    return next(config for config, mean in means.items() if mean >= highest - near)


def _competes(chosen: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether a config could be as good as the chosen one, which has the better mean."""
    p = paired(chosen, other).p
    return p is None or p >= CLEARLY


def _without(values: Mapping[int, Sequence[float]], seed: int) -> dict[int, list[float]]:
    return {
        config: [value for place, value in enumerate(found) if place != seed]
        for config, found in values.items()
    }


def _around(
    values: Sequence[float], unchosen: Sequence[float], *, competitors: int, direction: str
) -> Interval:
    """Return the interval of the winner: around the mean of ``values``, wider on the bad side.

    Args:
        values: of the chosen config.
        unchosen: of the configs that the other seeds choose, whose mean is told.
        competitors: how many configs could have been chosen.
        direction: ``maximize`` or ``minimize``.
    """
    plain, told = mean_interval(values), mean_interval(unchosen).mean
    if plain.sd is None:
        return plain
    error = plain.sd / math.sqrt(plain.n)
    good = error * quantile_t((1 + LEVEL) / 2, plain.n - 1)
    bad = error * quantile_t(1 - (1 - LEVEL) / max(2, competitors), plain.n - 1)
    down, up = (bad, good) if direction == "maximize" else (good, bad)
    low, high = min(plain.mean - down, told), max(plain.mean + up, told)
    return Interval(mean=told, sd=plain.sd, low=low, high=high, n=plain.n)
