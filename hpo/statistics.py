"""Intervals and tests of means and of paired differences over seeds, folds or resampled splits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and the interval that Student's t gives it."""

    mean: float
    sd: float | None
    """Over the values; it and both ends are None when there is but one value."""
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Paired(Interval):
    """The mean of differences, its interval, and the p of the t test that it is zero."""

    p: float | None
    """Two-sided; None when there is but one difference. Without any spread it is 0 or 1."""


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Return the mean of ``values`` with its Student t interval.

    >>> interval = mean_interval([1.0, 2.0, 3.0])
    >>> round(interval.low, 3), interval.mean, round(interval.high, 3)
    (-0.484, 2.0, 4.484)

    Raises:
        ValueError: if there are no values, one is not finite, or ``level`` is no share.
    """
    mean, sd, _ = _moments(values)
    low, high = _ends(mean, sd, len(values), inflation=1 / len(values), level=level)
    return Interval(mean=mean, sd=sd, low=low, high=high, n=len(values))


def paired(a: Sequence[float], b: Sequence[float], *, level: float = 0.95) -> Paired:
    """Return the mean of ``a - b`` pair by pair, with its t interval and t test.

    Args:
        a: one value per seed or fold.
        b: the other's values, of the same seeds or folds in the same order.
        level: of the interval.

    Raises:
        ValueError: if the lengths differ, or see `mean_interval`.
    """
    differences = _differences(a, b)
    return _tested(differences, inflation=1 / len(differences), level=level)


def corrected(
    a: Sequence[float], b: Sequence[float], *, test_share: float, level: float = 0.95
) -> Paired:
    """Return what `paired` does, for values over resampled splits or folds of the same rows.

    Their training rows overlap, so their spread is smaller than that of independent samples: the
    variance of the mean is ``sd² × (1/n + n_test/n_train)`` (Nadeau & Bengio, Inference for the
    generalization error, 2003) instead of ``sd² / n``.

    Args:
        a: one value per split.
        b: the other's values, of the same splits in the same order.
        test_share: which share of all rows each split tests on; 1/K for K folds.
        level: of the interval.

    Raises:
        ValueError: if ``test_share`` is not between 0 and 1, the lengths differ, or see
            `mean_interval`.
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, got {test_share}")
    differences = _differences(a, b)
    inflation = 1 / len(differences) + test_share / (1 - test_share)
    return _tested(differences, inflation=inflation, level=level)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values adjusted for being one of several tests (Holm, 1979), in their order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    Raises:
        ValueError: if one is no probability.
    """
    if any(not 0 <= p <= 1 for p in ps):
        raise ValueError(f"a p lies between 0 and 1, got {list(ps)}")
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def quantile_t(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t with ``freedom`` degrees of freedom.

    >>> round(quantile_t(0.975, 4), 3)
    2.776
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    if len(a) != len(b):
        raise ValueError(f"pairs need as many of each, got {len(a)} and {len(b)}")
    return [x - y for x, y in zip(a, b, strict=True)]


def _moments(values: Sequence[float]) -> tuple[float, float | None, int]:
    n = len(values)
    if not n:
        raise ValueError("a mean needs at least one value, got none")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"values must be finite, got {list(values)}")
    if min(values) == max(values):  # a sum would round
        return float(values[0]), 0.0 if n > 1 else None, n
    mean = math.fsum(values) / n
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)), n


def _ends(
    mean: float, sd: float | None, n: int, *, inflation: float, level: float
) -> tuple[float | None, float | None]:
    """Return the ends of an interval whose variance is ``sd² × inflation``."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if sd is None:
        return None, None
    half = quantile_t((1 + level) / 2, n - 1) * sd * math.sqrt(inflation)
    return mean - half, mean + half


def _tested(differences: Sequence[float], *, inflation: float, level: float) -> Paired:
    mean, sd, n = _moments(differences)
    low, high = _ends(mean, sd, n, inflation=inflation, level=level)
    p = _p(mean, sd, n, inflation=inflation)
    return Paired(mean=mean, sd=sd, low=low, high=high, n=n, p=p)


def _p(mean: float, sd: float | None, n: int, *, inflation: float) -> float | None:
    if sd is None:
        return None
    if sd == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -abs(mean) / (sd * math.sqrt(inflation))))
