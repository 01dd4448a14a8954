import pytest

from hpo.insight.axes import axes_of
from hpo.insight.edges import edges

LR = {"optimizer": {"name": "sgd", "lr": {"low": 1e-4, "high": 1e-1, "log": True}}}


def study(trial, values, space=LR, name="optimizer.lr"):
    """Trials whose value falls with their place in ``values``: the first is the best."""
    records = [trial(n, 0.9 - n / 100, params={name: v}) for n, v in enumerate(values)]
    return edges(records, axes_of(space, records), "maximize")


def test_a_bound_is_moved_by_a_quarter_of_the_decades(trial) -> None:
    found = study(trial, [0.099, 0.095, 0.09, 0.09, *[0.001] * 12])
    assert [(edge.name, edge.side, edge.strong) for edge in found] == [
        ("optimizer.lr", "high", True)
    ]
    assert found[0].move_to == pytest.approx(0.56)  # 1e-1 × 1000 ** 0.25
    assert "raise high to 0.56" in found[0].sentence


def test_five_per_cent_are_those_of_the_log_scale(trial) -> None:
    # 5 % of three decades below 0.1 is 0.0708: linearly 0.08 would be 20 % away
    assert study(trial, [0.08] * 4 + [0.001] * 12)
    assert not study(trial, [0.06] * 4 + [0.001] * 12)


def test_the_best_one_alone_at_an_end_is_a_weak_sign(trial) -> None:
    found = study(trial, [0.099, *[0.01] * 15])
    assert [edge.strong for edge in found] == [False]


def test_top_trials_in_the_middle_give_no_warning(trial) -> None:
    assert study(trial, [0.01] * 10 + [0.1] * 10) == []


def test_zero_is_a_natural_end(trial) -> None:
    space = {"model": {"family": "mlp", "dropout": {"low": 0.0, "high": 0.5}}}
    assert study(trial, [0.0] * 8 + [0.3] * 8, space, "model.dropout") == []


def test_whole_numbers_move_by_whole_numbers(trial) -> None:
    space = {"model": {"family": "mlp", "n_layers": {"low": 1, "high": 4}}}
    found = study(trial, [4] * 8 + [1, 2] * 8, space, "model.n_layers")
    assert [(edge.side, edge.move_to, edge.strong) for edge in found] == [("high", 5, True)]
    assert study(trial, [1] * 8 + [4, 2] * 8, space, "model.n_layers") == []  # there is no 0th


def test_trials_of_another_branch_do_not_count(trial) -> None:
    records = [trial(n, 0.9, params={"other": 1}) for n in range(10)]
    assert edges(records, axes_of(LR, records), "maximize") == []
