import pytest

from hpo.best import wilson
from hpo.insight.noise import exact, rank_correlation, span_of
from hpo.insight.top import luck, top


def test_what_lies_in_the_interval_of_the_best_is_within_noise(trial) -> None:
    low, _ = wilson(0.9, 30)
    records = [trial(0, 0.9), trial(1, low + 0.001), trial(2, low - 0.001)]
    found = top(records, "maximize", "accuracy", best=records[0])
    assert [one.within_noise for one in found.contenders] == [True, True, False]
    assert found.n_alike == 2
    assert "1 of the 2 other complete trials cannot be told from the best" in found.sentence


def test_a_metric_that_is_no_share_leaves_no_interval(trial) -> None:
    records = [trial(0, 0.9), trial(1, 0.8)]
    found = top(records, "maximize", "f1", best=records[0])
    assert [one.within_noise for one in found.contenders] == [None, None]
    assert "is not known: fresh seeds would tell" in found.sentence


def test_folds_tell_trials_apart_by_their_paired_differences(trial) -> None:
    best = trial(0, 0.9, run={"folds": [0.90, 0.95, 0.85]})
    near = trial(1, 0.89, run={"folds": [0.88, 0.97, 0.82]})
    far = trial(2, 0.5, run={"folds": [0.50, 0.55, 0.45]})
    found = top([best, near, far], "maximize", "f1", best=best)
    assert [one.within_noise for one in found.contenders] == [True, True, False]


def test_the_chosen_trial_is_shown_whatever_its_rank(trial) -> None:
    records = [trial(n, 0.9 - n / 100) for n in range(15)]
    found = top(records, "maximize", "f1", best=records[14])
    assert [one.record.number for one in found.contenders] == [*range(10), 14]
    assert [one.rank for one in found.contenders][-1] == 15


def test_the_interval_of_a_share_is_wilsons(trial) -> None:
    span = span_of(trial(0, 0.9), "accuracy")
    assert span is not None
    assert [span.low, span.high] == wilson(0.9, 30)
    assert span_of(trial(0, 0.9), "f1") is None


def test_without_seeds_luck_is_not_known() -> None:
    assert luck(None, "maximize").sentence.startswith("Not known")


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 10)])
def test_the_exact_interval_leaves_two_and_a_half_per_cent_outside(k: int, n: int) -> None:
    from scipy.stats import binom

    span = exact(k, n)
    assert span.low <= k / n <= span.high
    if k:
        assert binom.sf(k - 1, n, span.low) == pytest.approx(0.025)
    if k < n:
        assert binom.cdf(k, n, span.high) == pytest.approx(0.025)


def test_ranks_of_equal_values_are_their_mean() -> None:
    from scipy.stats import spearmanr

    pairs = [(1.0, 2.0), (1.0, 3.0), (2.0, 3.0), (4.0, 9.0), (3.0, 1.0)]
    assert rank_correlation(pairs) == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
