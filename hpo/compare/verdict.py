"""Which of two studies is better, or that this cannot be told: a difference and its interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hpo.best import wilson
from hpo.compare.evidence import Evidence
from hpo.statistics import Paired, corrected, holm, mean_interval, paired

Basis = Literal["paired seeds", "seeds", "folds", "nothing"]
LEVEL = 0.95
FEW = 5
"""Values from which Welch's approximation holds: below, it calls too often."""


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """The difference of two studies, first minus second, and what it rests on."""

    basis: Basis
    difference: float | None
    """None if one of them has no value."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Two-sided; of several tests it is Holm's."""
    n: int = 0
    """How many pairs; without pairs, how many values of the study that has fewer."""
    sd: float | None = None
    """Of the differences."""
    tests: int = 1
    """Of how many tests p is one."""

    @property
    def told(self) -> bool:
        """Whether the interval leaves 0 out, and so does the test among the others."""
        if self.low is None or self.high is None or self.p is None:
            return False
        return self.p < 1 - LEVEL and not self.low <= 0 <= self.high

    @property
    def same(self) -> bool:
        """Whether every pair is equal."""
        return self.difference == 0 and self.low == self.high == 0


def weigh(a: Evidence, b: Evidence) -> Weighed:
    """Return the difference of two studies' best configs with its interval and test.

    Over the seeds that both have, pair by pair; else over the seeds of each (Welch, 1947); else
    over the folds, whose training rows overlap (Nadeau & Bengio, 2003).
    """
    plain = _weigh(a, b, level=LEVEL)
    if plain.difference is None:
        return plain
    ahead = a if (plain.difference > 0) == (a.direction == "maximize") else b
    return _allowed(plain, lambda level: _weigh(a, b, level=level), n=ahead.candidates)


def _weigh(a: Evidence, b: Evidence, *, level: float) -> Weighed:
    common = sorted(set(a.by_seed) & set(b.by_seed))
    fewer = min(len(a.by_seed), len(b.by_seed))
    if len(common) >= 2 and len(common) >= min(3, fewer):
        pairs = [a.by_seed[s] for s in common], [b.by_seed[s] for s in common]
        return weighed("paired seeds", paired(*pairs, level=level))
    if fewer >= 2:
        values = list(a.by_seed.values()), list(b.by_seed.values())
        return weighed("seeds", welch(*values, level=level))
    if len(a.folds) == len(b.folds) >= 2:
        share = 1 / len(a.folds)
        return weighed("folds", corrected(a.folds, b.folds, test_share=share, level=level))
    if a.level is None or b.level is None:
        return Weighed(basis="nothing", difference=None)
    return Weighed(basis="nothing", difference=a.level - b.level)


def _allowed(found: Weighed, again: Callable[[float], Weighed], *, n: int) -> Weighed:
    """Return a difference that allows for the choice of the config ahead among ``n``.

    The values that chose it flatter it: of equal configs the chosen one lies too high ``n`` times
    as often as one alone, and hardly ever too low (Bonferroni). One or two need no allowance.
    """
    if n <= 2 or found.p is None:
        return found
    wider = again(1 - (1 - LEVEL) * 2 / n)
    return replace(wider, p=min(1.0, found.p * n / 2))


def weighed(basis: Basis, found: Paired) -> Weighed:
    """Return a difference with its test.

    Where all pairs differ by the same, t has no scale to judge by; then p is that of the signs:
    so many equal ones come about by chance in ``2 ** (1 - n)`` of all cases.
    """
    p = found.p
    if found.sd == 0 and found.mean != 0:
        p = 2.0 ** (1 - found.n)
    return Weighed(
        basis=basis,
        difference=found.mean,
        low=found.low,
        high=found.high,
        p=p,
        n=found.n,
        sd=found.sd,
    )


def seeds_needed(found: Weighed) -> int | None:
    """Return with how many seeds a difference like this one is told four times out of five.

    By the normal approximation of the power of a t test, with Guenther's two more (1981); None
    where there is no spread to go by, or no difference.
    """
    if not found.sd or not found.difference:
        return None
    return math.ceil((2.8 * found.sd / found.difference) ** 2 + 2)


def adjusted(found: Sequence[Weighed]) -> list[Weighed]:
    """Return the differences with p values for being several (Holm, 1979)."""
    places = [i for i, one in enumerate(found) if one.p is not None]
    ps = dict(zip(places, holm([found[i].p or 0.0 for i in places]), strict=True))
    return [replace(one, p=ps[i], tests=len(ps)) if i in ps else one for i, one in enumerate(found)]


def welch(a: Sequence[float], b: Sequence[float], *, level: float = LEVEL) -> Paired:
    """Return the difference of two means of independent values with unequal spreads.

    Welch, The generalization of Student's problem when several different population variances
    are involved, 1947. Of fewer than five values the spread is known too badly for his degrees of
    freedom; then they are the fewest that there can be, ``n - 1`` of the smaller number, with which
    the test errs on the safe side (Mickey & Brown, 1966).

    Raises:
        ValueError: if one has fewer than two values, or see `mean_interval`.
    """
    first, second = mean_interval(a), mean_interval(b)
    if first.sd is None or second.sd is None:
        raise ValueError(f"needs two values of each, got {len(a)} and {len(b)}")
    parts = (first.sd**2 / first.n, second.sd**2 / second.n)
    difference, variance = first.mean - second.mean, sum(parts)
    n, sd = min(first.n, second.n), math.sqrt(variance * min(first.n, second.n))
    if variance == 0:
        p = 1.0 if difference == 0 else 0.0
        return Paired(mean=difference, sd=0.0, low=difference, high=difference, n=n, p=p)
    from scipy.special import stdtr, stdtrit

    freedom = variance**2 / (parts[0] ** 2 / (first.n - 1) + parts[1] ** 2 / (second.n - 1))
    freedom = min(freedom, n - 1) if n < FEW else freedom
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    p = float(2 * stdtr(freedom, -abs(difference) / math.sqrt(variance)))
    return Paired(mean=difference, sd=sd, low=difference - half, high=difference + half, n=n, p=p)


def rows_interval(a: tuple[float, int], b: tuple[float, int]) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two shares, each of so many rows.

    Newcombe, Interval estimation for the difference between independent proportions, 1998 (method
    10). Of the same rows the difference varies less, so this is at most what they leave.
    """
    difference = a[0] - b[0]
    (low_a, high_a), (low_b, high_b) = wilson(*a), wilson(*b)
    low = difference - math.hypot(a[0] - low_a, high_b - b[0])
    high = difference + math.hypot(high_a - a[0], b[0] - low_b)
    return low, high
