import math
import random

import pytest

from hpo.compare.evidence import Evidence
from hpo.compare.verdict import adjusted, rows_interval, seeds_needed, weigh, weighed, welch
from hpo.statistics import corrected, paired

A = [0.91, 0.93, 0.92, 0.95, 0.90]
B = [0.90, 0.91, 0.91, 0.92, 0.90]


def evidence(values=(), *, first: int = 0, folds=(), candidates: int = 1, value=0.9) -> Evidence:
    return Evidence(
        label="a",
        direction="maximize",
        trial=0,
        config="c",
        search_value=value,
        by_seed={first + i: value for i, value in enumerate(values) if value is not None},
        failed=0,
        folds=folds,
        candidates=candidates,
        stale=None,
        n_rows=None,
    )


def test_common_seeds_are_compared_pair_by_pair() -> None:
    found, expected = weigh(evidence(A), evidence(B)), paired(A, B)
    assert (found.basis, found.n) == ("paired seeds", 5)
    assert (found.difference, found.low, found.p) == (expected.mean, expected.low, expected.p)


def test_a_seed_that_failed_for_one_is_left_out_of_the_pairs() -> None:
    found = weigh(evidence(A), evidence([None, *B[1:]]))
    assert (found.basis, found.n) == ("paired seeds", 4)
    assert found.difference == pytest.approx(paired(A[1:], B[1:]).mean)


def test_other_seeds_are_compared_without_pairs() -> None:
    found = weigh(evidence(A), evidence(B, first=50))
    assert found.basis == "seeds"
    assert (found.low, found.high) == (welch(A, B).low, welch(A, B).high)


def test_two_common_seeds_of_many_are_no_pairs() -> None:
    # Two pairs would throw six values away.
    assert weigh(evidence(A), evidence(B, first=3)).basis == "seeds"
    assert weigh(evidence(A), evidence(B, first=2)).basis == "paired seeds"
    assert weigh(evidence(A[:2]), evidence(B)).basis == "paired seeds"


def test_folds_count_where_there_are_no_seeds_and_their_overlap_is_allowed_for() -> None:
    found = weigh(evidence(folds=A), evidence(folds=B))
    expected = corrected(A, B, test_share=0.2)
    assert (found.basis, found.low, found.p) == ("folds", expected.low, expected.p)
    assert weigh(evidence(A, folds=A), evidence(B, folds=B)).basis == "paired seeds"
    assert weigh(evidence(folds=A), evidence(folds=A[:3])).basis == "nothing"


def test_one_seed_each_is_a_difference_without_an_interval() -> None:
    found = weigh(evidence(value=0.95), evidence(value=0.9))
    assert (found.basis, found.difference, found.low, found.told) == (
        "nothing",
        pytest.approx(0.05),
        None,
        False,
    )
    assert weigh(evidence(value=None), evidence()).difference is None


def test_welch_is_what_scipy_says() -> None:
    from scipy.stats import ttest_ind

    other = [0.5, 0.9, 0.1, 0.3, 0.7, 0.7]
    expected = ttest_ind(A, other, equal_var=False)
    found = welch(A, other)
    ends = expected.confidence_interval(0.95)
    assert (found.p, found.low, found.high) == tuple(
        pytest.approx(value) for value in (expected.pvalue, ends.low, ends.high)
    )
    with pytest.raises(ValueError, match="needs two values of each, got 5 and 1"):
        welch(A, [0.5])
    assert (welch([1, 1], [1, 1]).p, welch([1, 1], [0, 0]).p) == (1.0, 0.0)


def test_of_few_values_welch_errs_on_the_safe_side() -> None:
    from scipy.stats import t, ttest_ind

    few = [0.5, 0.9, 0.1]
    statistic = ttest_ind(A, few, equal_var=False).statistic
    assert welch(A, few).p == pytest.approx(2 * t.sf(statistic, 2))
    assert welch(few, A).p == welch(A, few).p


def test_equal_differences_are_judged_by_how_many_they_are() -> None:
    # On few rows a metric has few values: five equal differences come about by chance.
    five, six = [0.9] * 5, [0.9] * 6
    assert weigh(evidence(five), evidence([0.8] * 5)).p == 2**-4
    assert not weigh(evidence(five), evidence([0.8] * 5)).told
    assert weigh(evidence(six), evidence([0.8] * 6)).told
    assert weigh(evidence(five), evidence(five)).same


def test_a_choice_among_several_widens_the_interval_of_the_one_ahead() -> None:
    plain = weigh(evidence(A), evidence(B))
    ahead = weigh(evidence(A, candidates=4), evidence(B))
    behind = weigh(evidence(A), evidence(B, candidates=4))
    assert plain.p is not None
    assert ahead.p == pytest.approx(2 * plain.p)
    assert ahead.low is not None
    assert plain.low is not None
    assert ahead.low < plain.low
    assert ahead.difference == plain.difference
    assert behind == plain == weigh(evidence(A, candidates=2), evidence(B))


def test_several_tests_are_held_against_how_many_they_are() -> None:
    one = weighed("seeds", paired(A, B))
    nothing = weigh(evidence(), evidence())
    first, second, third = adjusted([one, nothing, one])
    assert one.p is not None
    assert first.p == third.p == pytest.approx(2 * one.p)
    assert (first.tests, second) == (2, nothing)
    assert (first.low, first.high) == (one.low, one.high)


def test_a_difference_is_told_only_if_test_and_interval_both_say_so() -> None:
    assert not weighed("seeds", paired(A, B)).told
    one = weighed("seeds", paired([0.03, 0.0, 0.03, 0.01, 0.02], [0.0] * 5))
    assert one.told
    assert not adjusted([one, one, one])[0].told


def test_the_seeds_that_would_show_a_difference_follow_from_its_spread() -> None:
    found = weighed("paired seeds", paired([0.1, 0.3, 0.2, 0.2], [0.0] * 4))
    assert found.sd is not None
    assert seeds_needed(found) == math.ceil((2.8 * found.sd / 0.2) ** 2 + 2)
    assert seeds_needed(weighed("seeds", paired(A, A))) is None


def test_the_rows_alone_leave_an_interval_as_newcombe_has_it() -> None:
    found = rows_interval((56 / 70, 70), (48 / 80, 80))  # case (a) of the paper's Table II
    assert found == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    assert rows_interval((1.0, 50), (1.0, 50))[0] < 0 < rows_interval((1.0, 50), (1.0, 50))[1]


def test_equal_configs_are_called_different_one_time_in_twenty() -> None:
    random.seed(1)
    calls = {"pairs": 0, "chosen": 0, "others": 0}
    for _ in range(1000):
        a, b = ([random.gauss(0, 1) for _ in range(5)] for _ in range(2))
        several = [[random.gauss(0, 1) for _ in range(5)] for _ in range(4)]
        chosen = max(several, key=sum)
        calls["pairs"] += weigh(evidence(a), evidence(b)).told
        calls["others"] += weigh(evidence(a), evidence(b, first=50)).told
        calls["chosen"] += weigh(evidence(chosen, candidates=4), evidence(b)).told
    assert {name: n <= 65 for name, n in calls.items()} == dict.fromkeys(calls, True), calls
    assert calls["pairs"] >= 35
