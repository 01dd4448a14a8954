"""The choice among configs by their means over seeds, and what it leaves of luck."""

import math

import pytest
from scipy import stats

from hpo.reseed.choosing import choose, gain_over, optimism_of
from hpo.statistics import mean_interval, paired

CLEAR = {7: [0.95, 0.96, 0.94], 3: [0.81, 0.83, 0.82]}
CLOSE = {7: [0.90, 0.90, 0.99], 3: [0.92, 0.92, 0.92]}
"""Trial 7 is chosen for its third seed alone."""


def test_the_best_mean_is_chosen_in_either_direction() -> None:
    assert choose(CLEAR, "maximize").chosen == 7
    assert choose(CLEAR, "minimize").chosen == 3


def test_of_equal_means_the_one_that_the_search_ranked_higher_is_chosen() -> None:
    assert choose({3: [0.1, 0.2, 0.3], 9: [0.3, 0.1, 0.2]}, "maximize").chosen == 3
    assert choose({9: [0.3, 0.1, 0.2], 3: [0.1, 0.2, 0.3]}, "minimize").chosen == 9


def test_a_clear_choice_of_two_has_the_plain_mean_and_students_interval() -> None:
    worth, plain = choose(CLEAR, "maximize").worth, mean_interval(CLEAR[7])
    assert worth.mean == pytest.approx(plain.mean, abs=1e-15)
    assert (worth.low, worth.high) == (pytest.approx(plain.low), pytest.approx(plain.high))


def test_a_seed_that_made_the_choice_does_not_judge_it() -> None:
    choice = choose(CLOSE, "maximize")
    assert (choice.chosen, choice.by_seed) == (7, [7, 7, 3])
    assert choice.worth.mean == pytest.approx((0.90 + 0.90 + 0.92) / 3)


def test_the_more_could_have_been_chosen_the_wider_the_bad_side_of_the_interval() -> None:
    near = {n: [value - 0.001 * n, value, value + 0.0005] for n, value in ((1, 0.95), (2, 0.949))}
    values = {7: CLEAR[7], **near, 3: CLEAR[3], 4: [0.1, 0.11, 0.1]}
    choice, plain = choose(values, "maximize"), mean_interval(CLEAR[7])
    assert (choice.chosen, choice.competitors) == (7, [7, 1, 2])
    error = (plain.sd or 0) / math.sqrt(3)
    worth = choice.worth
    assert worth.high == pytest.approx(plain.high)
    assert worth.low == pytest.approx(plain.mean - error * stats.t.ppf(1 - 0.05 / 3, 2))
    lower = {trial: [-value for value in found] for trial, found in values.items()}
    mirrored = choose(lower, "minimize").worth
    assert (mirrored.low, mirrored.high) == pytest.approx((-(worth.high or 0), -(worth.low or 0)))


def test_the_gain_is_paired_and_its_seeds_are_those_of_the_others_choice() -> None:
    default = [0.80, 0.85, 0.84]
    choice = choose(CLOSE, "maximize")
    gain = gain_over(choice, {**CLOSE, 0: default}, 0, "maximize")
    assert gain.mean == pytest.approx((0.10 + 0.05 + 0.08) / 3)
    plain = paired(CLOSE[7], default)
    assert gain.p == pytest.approx(2 * (plain.p or 0))
    one = choose({7: CLEAR[7]}, "maximize")
    alone, known = gain_over(one, {**CLEAR, 0: default}, 0, "maximize"), paired(CLEAR[7], default)
    assert vars(alone) == pytest.approx(vars(known))


def test_optimism_is_the_search_value_minus_what_is_left() -> None:
    worth = choose(CLEAR, "maximize").worth
    found = optimism_of(worth, 0.97)
    assert found.mean == pytest.approx(0.02)
    assert (found.low, found.high) == (0.97 - (worth.high or 0), 0.97 - (worth.low or 0))


def test_one_seed_has_a_mean_alone() -> None:
    worth = choose({7: [0.9], 3: [0.8]}, "maximize").worth
    assert (worth.mean, worth.low, worth.n) == (0.9, None, 1)


@pytest.mark.parametrize("values", [{}, {1: []}, {1: [0.5], 2: [0.5, 0.6]}])
def test_configs_without_common_seeds_are_refused(values: dict[int, list[float]]) -> None:
    with pytest.raises(ValueError, match="the same seeds, at least one"):
        choose(values, "maximize")
