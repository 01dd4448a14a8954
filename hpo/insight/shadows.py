"""Shadows: parameters without any effect, drawn as the study's own sampler would have drawn them.

A sampler that learns puts late trials where early ones were good, in every parameter, also in those
that do nothing; after that, a parameter without effect goes along with the objective. So a fair
control is not a permuted column but one that the same kind of sampler collected: the recorded
history is replayed, and at each trial every shadow gets a value from a Parzen estimator over the
values that it had in the trials that were good until then (TPE: Bergstra et al., 2011; joint
proposals: Falkner et al., 2018). The kernel is chosen by the values that the real parameters had in
that trial, as a joint proposal springs from one place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GOOD_SHARE, MOST_GOOD = 0.1, 25
"""How many trials count as good: the tenth part, and no more."""
MOST_BAD = 40
"""How many of the others are looked at, the latest: more cost time, and change little."""
CANDIDATES = 6


@dataclass(frozen=True, kw_only=True)
class History:
    """The trials that have one group of parameters, in their order."""

    points: Floats
    """Of the real parameters, ``(trials, parameters)``: 0 to 1, or the index of an option."""
    levels: tuple[int, ...]
    """How many options each parameter has; 0 is a number."""
    learned: NDArray[np.bool_]
    """Which trials the sampler proposed by a model, ``(trials,)``; the others came by chance."""
    good: tuple[NDArray[np.int64], ...]
    """Before each trial, which of those before it count as good."""
    bad: tuple[NDArray[np.int64], ...]


def shadows(history: History, *, levels: int, n: int, rng: np.random.Generator) -> Floats:
    """Return ``n`` shadows of the history's trials, ``(trials, n)``: numbers, or options."""
    trials = len(history.points)
    drawn = np.empty((trials, n))
    for t in range(trials):
        good = history.good[t]
        if not history.learned[t] or len(good) == 0:
            drawn[t] = _chance(levels, (n,), rng)
            continue
        weights = _weights(history, t, good)
        offered = _offer(drawn[good], weights, levels, rng)
        bad = history.bad[t]
        value = _density(offered, drawn[good], weights, levels)
        value = value / _density(offered, drawn[bad], _weights(history, t, bad), levels)
        drawn[t] = offered[value.argmax(axis=0), np.arange(n)]
    return drawn


def _weights(history: History, t: int, others: NDArray[np.int64]) -> Floats:
    """Return how likely trial ``t`` springs from each of ``others``, and at last from nowhere."""
    logs = np.zeros(len(others) + 1)
    width = _width(len(others), history.points.shape[1])
    for k, levels in enumerate(history.levels):
        here, there = history.points[t, k], history.points[others, k]
        if levels:
            rest = 1.0 / (len(others) + 1)
            share = np.append((here == there) + rest, 1.0 / levels * (1 + rest * levels))
            logs += np.log(share / (1 + rest * levels))
        else:
            logs += np.append(-0.5 * ((here - there) / width) ** 2 - np.log(width * 2.5), 0.0)
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _offer(values: Floats, weights: Floats, levels: int, rng: np.random.Generator) -> Floats:
    """Return candidates for every shadow, ``(candidates, n)``."""
    n = values.shape[1]
    shape = (CANDIDATES, n)
    picked = np.searchsorted(np.cumsum(weights), rng.random(shape)).clip(max=len(weights) - 1)
    chance = _chance(levels, shape, rng)
    nowhere = picked == len(values)
    centres = values[np.where(nowhere, 0, picked), np.arange(n)]
    if levels:
        stray = rng.random(shape) < levels / (levels + len(values) + 1)
        return np.where(nowhere | stray, chance, centres)
    moved = centres + _width(len(values), 1) * rng.standard_normal(shape)
    folded = np.abs(moved)
    return np.where(nowhere, chance, np.where(folded > 1, (2 - folded).clip(0), folded))


def _density(at: Floats, values: Floats, weights: Floats, levels: int) -> Floats:
    """Return the estimate at the candidates of every shadow, ``(candidates, n)``."""
    if levels:
        rest = 1.0 / (len(values) + 1)
        kernels = ((at[:, None, :] == values[None]) + rest) / (1 + rest * levels)
        even = 1.0 / levels
    else:
        width = _width(len(values), 1)
        kernels = np.exp(-0.5 * ((at[:, None, :] - values[None]) / width) ** 2) / (width * 2.5)
        even = 1.0
    return np.asarray(np.einsum("cin,i->cn", kernels, weights[:-1]) + weights[-1] * even + 1e-12)


def _width(n: int, dimensions: int) -> float:
    """Return the width of a kernel in the unit interval (Scott's rule, bounded below)."""
    return float(max(0.2 * max(n, 1) ** (-1 / (dimensions + 4)), 1.0 / min(100, n + 2)))


def _chance(levels: int, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    if levels:
        return rng.integers(levels, size=shape).astype(float)
    return rng.random(shape)
