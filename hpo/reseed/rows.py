"""How much a gain on the test split owes to its rows: the spread over resamples of them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hpo.statistics import Interval, Paired

RESAMPLES = 400
Z = 1.959964
"""Of the normal distribution, for 95 %."""
Rows = npt.NDArray[np.intp]


def row_spread(
    differences: Sequence[Callable[[Rows], float]], n_rows: int, *, seed: int, block: int = 1
) -> float | None:
    """Return the standard error that a mean difference has from its rows (bootstrap; Efron, 1979).

    What a seed makes of a row, and the next does not, is in the spread over seeds already. So the
    rows are resampled twice: the same for all seeds, and for each seed others. Of n seeds, the
    first variance is rows + chance / n, the second one is rows / n + chance / n.

    Args:
        differences: of two configs, for each seed, on rows by their numbers.
        n_rows: of the split.
        seed: of the resamples.
        block: rows that follow one another are drawn together, so many at a time (the circular
            block bootstrap of Politis and Romano, 1992).

    Returns:
        None if most resamples leave the difference undefined.
    """
    generator = np.random.default_rng(seed)
    together, apart = [], []
    for _ in range(RESAMPLES):
        rows = _draw(generator, n_rows, block)
        together.append(_mean([difference(rows) for difference in differences]))
        drawn = [difference(_draw(generator, n_rows, block)) for difference in differences]
        apart.append(_mean(drawn))
    n, both = len(differences), _variance(together)
    if n == 1 or both is None:
        return None if both is None else math.sqrt(both)
    alone = _variance(apart)
    return None if alone is None else math.sqrt(max(both - alone, 0.0) * n / (n - 1))


def _draw(generator: np.random.Generator, n_rows: int, block: int) -> Rows:
    starts = generator.integers(0, n_rows, -(-n_rows // block))
    places: Rows = (starts[:, None] + np.arange(block)) % n_rows
    return places.reshape(-1)[:n_rows]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Sequence[float]) -> float | None:
    defined = [value for value in values if math.isfinite(value)]
    return float(np.var(defined, ddof=1)) if len(defined) > RESAMPLES / 2 else None


def with_rows(gain: Paired, spread: float) -> Interval:
    """Return a gain whose interval holds for new rows too: both errors, added as squares.

    The seeds were trained on one set of rows and tested on one, so their interval alone speaks of
    these test rows only.
    """
    low, high = gain.low, gain.high
    if low is not None and high is not None:
        low = gain.mean - math.hypot(gain.mean - low, Z * spread)
        high = gain.mean + math.hypot(high - gain.mean, Z * spread)
    return Interval(mean=gain.mean, sd=gain.sd, low=low, high=high, n=gain.n)
