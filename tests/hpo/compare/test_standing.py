import pytest

from hpo.compare.evidence import evidence_of
from hpo.compare.sides import read_sides
from hpo.compare.standing import equal_budget, history, pareto, standings


def lines(*folders, at="trials"):
    sides = read_sides(folders)
    return standings(sides, [evidence_of(side) for side in sides], equal_budget(sides, at))


def ended(minute: int) -> str:
    return f"2026-11-21T00:{minute:02d}:00Z"


def test_the_equal_budget_is_the_smallest_total(make_study) -> None:
    a, b = make_study("a", (0.7, 0.8, 0.9)), make_study("b", (0.6, 0.95))
    sides = read_sides([a, b])
    assert equal_budget(sides, "trials").amount == 2
    assert equal_budget(sides, "epochs").amount == 4.0
    assert equal_budget(sides, "seconds").amount == 2.0
    first, second = lines(a, b)
    assert (first.best, first.at_budget, first.at_budget_trial) == (0.9, 0.8, 1)
    assert (second.best, second.at_budget) == (0.95, 0.95)


def test_trials_count_in_the_order_in_which_they_ended(make_study) -> None:
    # Trial 0 ends last: within two trials the study had seen trials 1 and 2 alone.
    a = make_study("a", (0.9, 0.7, 0.8), trials={0: {"ended_utc": ended(9)}})
    (side, _) = read_sides([a, make_study("b")])
    assert [step.best for step in history(side, "trials")] == [0.7, 0.8, 0.9]
    assert lines(a, make_study("c"))[0].at_budget == 0.8


def test_pruned_and_failed_trials_cost_and_are_never_the_best(make_study) -> None:
    a = make_study("a", (0.5, 0.99, None), trials={1: {"state": "pruned"}})
    first, _ = lines(a, make_study("b", (0.1, 0.2, 0.3)))
    assert (first.best, first.at_budget, first.median) == (0.5, 0.5, 0.5)
    assert (first.trials, first.complete, first.pruned, first.failed) == (3, 1, 1, 1)
    assert (first.epochs, first.seconds) == (4.0, 3.0)


def test_what_one_trial_costs_more_than_the_budget_is_not_within_it(make_study) -> None:
    slow = {0: {"seconds": 100.0}}
    first, second = lines(make_study("a", (0.9, 0.8), trials=slow), make_study("b"), at="seconds")
    assert (first.at_budget, second.at_budget) == (None, 0.9)


def test_a_metric_to_minimize_has_its_lowest_value_as_the_best(make_study) -> None:
    low = {"overrides": ["objective.metric=log_loss"]}
    first, _ = lines(make_study("a", (0.3, 0.1, 0.2), **low), make_study("b", (0.4,), **low))
    assert (first.best, first.at_budget, first.default) == (0.1, 0.3, 0.3)


def test_fresh_seeds_show_as_mean_sd_and_interval(make_study, reseed) -> None:
    a, b = make_study("a"), make_study("b")
    reseed(a, [0.7, 0.8, None, 0.9])
    first, second = lines(a, b)
    assert (first.seeds, first.mean, first.sd) == (3, pytest.approx(0.8), pytest.approx(0.1))
    assert first.ci95 == (pytest.approx(0.8 - 0.2484, abs=1e-4), pytest.approx(1.0484, abs=1e-4))
    assert (second.seeds, second.mean, second.ci95) == (0, None, None)


def test_a_study_without_a_complete_trial_has_its_line(make_study) -> None:
    first, _ = lines(make_study("a", (None, None)), make_study("b"))
    assert (first.best, first.trial, first.at_budget, first.median) == (None, None, None, None)
    assert first.failed == 2


def test_the_front_has_no_trial_that_another_beats_in_value_and_cost(make_study) -> None:
    sizes = {n: {"run": {"n_parameters": size}} for n, size in enumerate((10, 50, 40))}
    a = make_study("a", (0.5, 0.7, 0.9), trials=sizes)
    b = make_study("b", (0.8,), n_parameters=20)
    front = pareto(read_sides([a, b]), "n_parameters")
    assert [(p.study, p.trial, p.value, p.cost) for p in front] == [
        ("a", 0, 0.5, 10),
        ("b", 0, 0.8, 20),
        ("a", 2, 0.9, 40),
    ]


def test_before_the_first_complete_trial_there_is_no_best(make_study) -> None:
    a = make_study("a", (0.99, 0.5), trials={0: {"state": "pruned"}})
    (side, _) = read_sides([a, make_study("b", (0.1,))])
    assert [step.best for step in history(side, "trials")] == [None, 0.5]
    assert lines(a, make_study("c", (0.1,)))[0].at_budget is None
