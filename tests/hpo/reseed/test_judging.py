"""Which config is chosen, and why, whatever some of its runs came to."""

import pytest

from hpo.reseed.judging import comparable, stand_ins, with_tests
from hpo.statistics import paired

GOOD, FAIR, POOR = [0.95, 0.96, 0.94], [0.93, 0.94, 0.92], [0.81, 0.83, 0.82]


def test_the_search_s_best_stays_where_seeds_agree(judge_values) -> None:
    record = judge_values({7: GOOD, 3: FAIR, 0: POOR}, search=0.97)
    assert (record.chosen, record.why) == (
        7,
        "trial 7 has the best mean over 3 seeds of 3 configs: 0.9500",
    )
    assert record.gain is not None
    assert record.gain.mean == pytest.approx(0.13)
    assert record.optimism is not None
    assert record.optimism.mean == pytest.approx(0.02)


def test_another_ranking_is_told_with_both_means(judge_values) -> None:
    record = judge_values({3: FAIR, 7: GOOD, 0: POOR}, search=0.97)
    assert record.chosen == 7
    assert record.why.endswith("; trial 3, the best of the search with 0.9700, has 0.9300")


def test_a_config_that_could_be_as_good_is_named(judge_values) -> None:
    record = judge_values({7: GOOD, 3: [0.94, 0.935, 0.95], 0: POOR})
    assert record.why.endswith("; these seeds cannot tell it from trial 3")


def test_a_default_that_nothing_beats_is_chosen_and_the_gain_is_what_the_others_lose(
    judge_values,
) -> None:
    record = judge_values({7: FAIR, 0: GOOD})
    assert record.chosen == 0
    assert record.why.startswith("the default config (trial 0) has the best mean")
    assert record.gain is not None
    assert vars(record.gain) == pytest.approx(vars(paired(FAIR, GOOD)))


def test_a_config_that_failed_more_often_than_others_is_not_chosen(judge_values) -> None:
    record = judge_values({7: [0.99, None, 0.99], 3: FAIR, 0: POOR})
    assert record.chosen == 3
    assert "trial 7 is left out: 1 of its 3 runs failed" in record.why


def test_seeds_on_which_any_failed_are_left_out_of_every_pair(judge_values) -> None:
    record = judge_values({7: [0.95, None, 0.94], 0: [None, 0.83, 0.82]})
    assert comparable(record.configs) == {7: [0.94], 0: [0.82]}
    apart = judge_values({7: [0.95, None], 0: [None, 0.83]})
    assert comparable(apart.configs) == {7: [0.95]}
    assert "trial 0 is left out" in apart.why
    assert apart.gain is None


def test_one_seed_changes_nothing(judge_values) -> None:
    record = judge_values({3: [0.9], 7: [0.95], 0: [0.8]})
    assert record.chosen == 3
    assert record.why == "one seed changes nothing: trial 3 is the best of the search"


def test_where_every_run_failed_the_search_s_order_stands(judge_values) -> None:
    record = judge_values({3: [None, None], 0: [None, None]}).explained()
    assert (record.chosen, record.worth, record.gain, record.optimism) == (3, None, None, None)
    assert record.why.startswith("every run with a fresh seed failed")
    assert set(record.null_because) == {
        "worth",
        "gain",
        "gain_test",
        "gain_test_rows",
        "optimism",
    }


def test_a_trial_whose_weights_were_not_kept_is_compared_and_not_chosen(judge_values) -> None:
    record = judge_values({3: FAIR, 7: GOOD, 0: POOR}, unready=[7])
    assert record.chosen == 3
    assert "trial 7 is left out: its weights were not kept" in record.why


def test_a_default_that_was_pruned_is_still_what_the_gain_is_held_against(judge_values) -> None:
    record = judge_values({7: GOOD, 0: POOR}, unready=[0])
    assert record.gain is not None
    assert vars(record.gain) == pytest.approx(vars(paired(GOOD, POOR)))


def test_less_is_better_where_the_metric_says_so(judge_values) -> None:
    record = judge_values({7: GOOD, 3: POOR, 0: FAIR}, direction="minimize", search=0.8)
    assert record.chosen == 3
    assert record.gain is not None
    assert record.gain.mean == pytest.approx(-0.11)
    assert record.optimism is not None
    assert record.optimism.mean == pytest.approx(-0.02)


def test_on_the_test_split_each_seed_stands_for_what_validation_chose(judge_values) -> None:
    close = {7: [0.90, 0.90, 0.99], 3: [0.92, 0.92, 0.92], 0: POOR}
    record = judge_values(close)
    tests = {(trial, seed): 0.1 * trial + 0.01 * seed for trial in close for seed in range(3)}
    tested = with_tests(record, tests)
    assert stand_ins(tested) == [(0, 7), (1, 7), (2, 3)]
    assert tested.gain_test is not None
    assert tested.gain_test.mean == pytest.approx((0.7 + 0.7 + 0.3) / 3)


def test_runs_without_a_test_value_are_left_out_of_the_gain_there(judge_values) -> None:
    record = judge_values({7: GOOD, 0: POOR})
    tests = {(7, 0): 0.9, (7, 1): 0.92, (0, 0): 0.8, (0, 1): 0.81, (0, 2): 0.82}
    tested = with_tests(record, tests)
    assert tested.gain_test is None or tested.gain_test.n == 2
    assert with_tests(record, {}).gain_test is None
