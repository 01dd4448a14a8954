"""Noise: what a validation split, folds or seeds can tell apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.best import SHARE_METRICS, wilson
from hpo.records import TrialRecord
from hpo.statistics import corrected, mean_interval


@dataclass(frozen=True, kw_only=True)
class Span:
    """An interval of 95 %."""

    low: float
    high: float


def is_share(metric: str, config: Mapping[str, Any]) -> bool:
    """Return whether a metric is a share of the rows; of labels a row has several."""
    kind = (config.get("task") or {}).get("kind")
    several = kind == "multilabel" and metric != "subset_accuracy"
    return metric in SHARE_METRICS and not several


def span_of(record: TrialRecord, metric: str) -> Span | None:
    """Return the interval of a trial's value: of its rows if it is a share, else of its folds."""
    run = record.run
    if run is None:
        return None
    if run.folds is not None and len(run.folds) > 1:
        found = mean_interval(run.folds)
        if found.low is not None and found.high is not None:
            return Span(low=found.low, high=found.high)
    n = run.n_validated
    if is_share(metric, record.config) and n and 0 <= run.value <= 1:
        low, high = wilson(run.value, n)
        return Span(low=low, high=high)
    return None


def within_noise(record: TrialRecord, best: TrialRecord, metric: str) -> bool | None:
    """Return whether a trial cannot be told from the best; None if the records do not say.

    Over folds by their paired differences, corrected for the rows that training sets share
    (Nadeau & Bengio, 2003); of shares of rows, if its value lies in the best one's interval.
    """
    run, first = record.run, best.run
    if run is None or first is None:
        return None
    if run.folds is not None and first.folds is not None and 1 < len(run.folds) == len(first.folds):
        if record.number == best.number:
            return True
        share = 1 / len(run.folds)
        difference = corrected(run.folds, first.folds, test_share=share)
        if difference.low is not None and difference.high is not None:
            return difference.low <= 0 <= difference.high
    span = span_of(best, metric)
    return None if span is None else span.low <= run.value <= span.high


def difference(best: TrialRecord, other: TrialRecord, metric: str) -> Span | None:
    """Return the interval of best minus other; None if the records give none.

    Over folds corrected and paired; of shares as if the rows of the two were different ones
    (Newcombe, Interval estimation for the difference between independent proportions, 1998, method
    10), which is wider than it need be.
    """
    run, second = best.run, other.run
    if run is None or second is None:
        return None
    if run.folds is not None and second.folds is not None and 1 < len(run.folds):
        if len(run.folds) == len(second.folds):
            found = corrected(run.folds, second.folds, test_share=1 / len(run.folds))
            if found.low is not None and found.high is not None:
                return Span(low=found.low, high=found.high)
        return None
    a, b = span_of(best, metric), span_of(other, metric)
    if a is None or b is None:
        return None
    apart = run.value - second.value
    below = math.hypot(run.value - a.low, b.high - second.value)
    above = math.hypot(a.high - run.value, second.value - b.low)
    return Span(low=apart - below, high=apart + above)


def exact(k: int, n: int, *, level: float = 0.95) -> Span:
    """Return the interval of a share of which ``k`` of ``n`` were seen (Clopper & Pearson, 1934).

    >>> span = exact(0, 3)
    >>> span.low, round(span.high, 3)
    (0.0, 0.708)
    """
    if n == 0:
        return Span(low=0.0, high=1.0)
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Span(low=low, high=high)


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Spearman's correlation (1904); None for fewer than 3 pairs, or one value throughout.

    >>> rank_correlation([(1, 2), (2, 3), (3, 9)])
    1.0
    """
    n = len(pairs)
    if n < 3:
        return None
    a, b = (_ranks([pair[i] for pair in pairs]) for i in (0, 1))
    middle = (n + 1) / 2
    above = sum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    size = math.sqrt(sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b))
    return round(above / size, 12) if size else None


def correlation_span(correlation: float, n: int) -> Span | None:
    """Return the interval of a rank correlation (Fisher's z, spread of Bonett & Wright, 2000)."""
    if n < 5 or abs(correlation) >= 1:
        return None
    spread = math.sqrt((1 + correlation**2 / 2) / (n - 3)) * 1.959964
    z = math.atanh(correlation)
    return Span(low=math.tanh(z - spread), high=math.tanh(z + spread))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    first = {value: i for i, value in reversed(list(enumerate(order)))}
    last = {value: i for i, value in enumerate(order)}
    return [(first[value] + last[value]) / 2 + 1 for value in values]
