"""Numbers of a comparison: medians of pairwise ratios, geometric means, differences with errors."""

import math
import statistics
from collections.abc import Sequence


def pairwise(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return how many times theirs ours is, round by round."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def spread(ratios: Sequence[float]) -> str:
    """Return the median, and from where to where.

    >>> spread([2.0, 3.0, 2.5])
    '2.50× (2.00–3.00)'
    """
    return f"{statistics.median(ratios):.2f}× ({min(ratios):.2f}–{max(ratios):.2f})"


def geometric(ratios: Sequence[float]) -> float:
    """Return the geometric mean.

    >>> geometric([2.0, 8.0])
    4.0
    """
    return math.exp(statistics.fmean(map(math.log, ratios)))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the mean difference over pairs and its standard error; of one pair that is not known.

    >>> difference([1.0, 3.0], [0.0, 2.0])
    (1.0, 0.0)
    """
    each = [a - b for a, b in zip(ours, theirs, strict=True)]
    error = statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else math.inf
    return statistics.fmean(each), error


def agrees(mean: float, error: float) -> bool:
    """Return whether a difference lies within two of its standard errors."""
    return abs(mean) <= 2 * error + 1e-9


def signed(mean: float, error: float) -> str:
    """Return a difference as text.

    >>> signed(0.001, 0.002)
    '+0.0010 ± 0.0020'
    """
    return f"{mean:+.4f} ± {error:.4f}"
