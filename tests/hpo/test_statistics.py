"""Intervals and tests, against scipy.stats and figures worked out by hand."""

import math

import pytest
from scipy import stats

from hpo.statistics import corrected, holm, mean_interval, paired

A = [0.961, 0.958, 0.967, 0.959, 0.964]
B = [0.955, 0.957, 0.951, 0.960, 0.949]


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_interval_of_a_mean_is_students(n: int, level: float) -> None:
    values = A[:n]
    interval = mean_interval(values, level=level)
    known = stats.t.interval(level, n - 1, loc=interval.mean, scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(known, rel=1e-12)
    assert interval.sd == pytest.approx(stats.tstd(values), rel=1e-9)
    assert interval.n == n


def test_one_value_has_a_mean_and_no_interval() -> None:
    interval = mean_interval([0.5])
    assert (interval.mean, interval.sd, interval.low, interval.high) == (0.5, None, None, None)
    assert paired([0.5], [0.25]).p is None


def test_paired_is_the_t_test_of_the_differences() -> None:
    known = stats.ttest_rel(A, B)
    found = paired(A, B)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    ends = known.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), rel=1e-9)


def test_differences_without_spread_are_certain_or_none() -> None:
    third = 1 / 3
    assert paired([third] * 5, [third] * 5).p == 1.0
    assert paired([0.75] * 5, [0.5] * 5).p == 0.0
    same = mean_interval([0.1] * 3)
    assert (same.mean, same.sd, same.low, same.high) == (0.1, 0.0, 0.1, 0.1)


def test_overlapping_training_rows_widen_the_interval_as_nadeau_and_bengio_say() -> None:
    plain, wide = paired(A, B), corrected(A, B, test_share=0.2)
    assert plain.high is not None
    assert wide.high is not None
    wider = (wide.high - wide.mean) / (plain.high - plain.mean)
    assert wider == pytest.approx(math.sqrt((1 / 5 + 1 / 4) / (1 / 5)))
    assert wide.mean == plain.mean
    assert wide.p is not None
    t = plain.mean / (plain.sd or 1) / math.sqrt(1 / 5 + 1 / 4)
    assert wide.p == pytest.approx(2 * stats.t.sf(abs(t), 4))


def test_holm_steps_down_and_never_below_a_smaller_p() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [math.inf]])
def test_what_has_no_mean_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one value|must be finite"):
        mean_interval(values)


def test_what_is_no_share_or_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="as many of each"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="test_share"):
        corrected(A, B, test_share=1.0)
    with pytest.raises(ValueError, match="level"):
        mean_interval(A, level=1.0)
    with pytest.raises(ValueError, match="a p lies"):
        holm([1.5])
