import pytest

from hpo.best import wilson
from hpo.insight.gain import gain


def test_the_best_so_far_is_set_against_the_epochs_that_all_trials_spent(trial) -> None:
    records = [
        trial(0, 0.5, epochs=10.0),
        trial(1, 0.4, state="pruned", epochs=2.0),
        trial(2, 0.7, epochs=10.0),
        trial(3, 0.6, epochs=10.0),
    ]
    found = gain(records, "maximize", "accuracy")
    assert [(step.epochs, step.trial) for step in found.steps] == [(10.0, 0), (22.0, 2)]
    assert found.epochs == 32.0
    assert found.idle == pytest.approx(10 / 32)
    assert found.gained == pytest.approx(0.2)
    assert found.second_half == pytest.approx(0.2)


def test_an_idle_end_of_the_budget_is_named(trial) -> None:
    records = [trial(0, 0.5), trial(1, 0.7), *(trial(n, 0.6) for n in range(2, 10))]
    assert "No gain in the last 80% of the 100 epochs" in gain(records, "maximize", "f1").sentence


def test_a_search_that_gains_to_its_end_is_said_to(trial) -> None:
    records = [trial(n, 0.5 + n / 100) for n in range(10)]
    assert "may still gain" in gain(records, "maximize", "f1").sentence


def test_the_order_is_that_of_the_ends_not_of_the_numbers(trial) -> None:
    late = {"ended_utc": "2026-11-21T01:00:00Z"}
    records = [trial(0, 0.9, **late), trial(1, 0.5)]
    found = gain(records, "maximize", "accuracy")
    assert [step.trial for step in found.steps] == [1, 0]


def test_shares_of_rows_have_an_interval_and_other_metrics_say_that_there_is_none(trial) -> None:
    records = [trial(0, 0.5), trial(1, 0.9)]
    found = gain(records, "maximize", "accuracy")
    assert found.span is not None
    below = ((0.9 - wilson(0.9, 30)[0]) ** 2 + (wilson(0.5, 30)[1] - 0.5) ** 2) ** 0.5
    assert found.span.low == pytest.approx(0.4 - below)
    other = gain(records, "maximize", "f1")
    assert other.span is None
    assert "hpo evaluate" in other.basis


def test_what_is_minimized_gains_by_being_less(trial) -> None:
    found = gain([trial(0, 3.0), trial(1, 1.0)], "minimize", "rmse")
    assert found.gained == 2.0
    assert found.best == 1.0


def test_folds_give_a_paired_interval_turned_to_better(trial) -> None:
    a = trial(0, 3.0, run={"folds": [3.0, 3.1, 2.9]})
    b = trial(1, 1.0, run={"folds": [1.0, 1.2, 0.8]})
    found = gain([a, b], "minimize", "rmse")
    assert found.span is not None
    assert 0 < found.span.low < 2.0 < found.span.high


@pytest.mark.parametrize("n", [0, 1])
def test_no_trial_and_one_trial_are_no_reason_to_fail(trial, n: int) -> None:
    found = gain([trial(0, 0.5)][:n], "maximize", "accuracy")
    assert found.sentence
    assert found.gained in (None, 0)
