from typing import Any

import pytest

from hpo.insight.axes import axes_of
from hpo.space import SearchSpace
from hpo.spec import load_study, shipped_studies

SPACE: dict[str, Any] = {
    "model": {
        "one_of": {
            "mlp": {"layers": {"length": {"low": 1, "high": 2}, "each": {"low": 8, "high": 32}}},
            "its_own": {"depth": {"choices": [1, 2]}},
        }
    },
    "optimizer": {"name": "sgd", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
}


def test_a_space_is_read_without_the_code_of_its_families() -> None:
    found = {axis.name: axis for axis in axes_of(SPACE)}
    assert list(found) == [
        "model",
        "model.mlp.layers.length",
        "model.mlp.layers.0",
        "model.mlp.layers.1",
        "model.its_own.depth",
        "optimizer.lr",
    ]
    assert found["model"].is_branch
    assert found["model"].options == ("mlp", "its_own")
    assert found["model.its_own.depth"].branch == (("model", "its_own"),)


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_the_axes_of_every_shipped_study_are_the_parameters_of_its_space(name: str) -> None:
    space: SearchSpace = load_study(name).space
    expected = [(one.name, one.branch) for one in space.parameters()]
    assert [(axis.name, axis.branch) for axis in axes_of(load_study(name).values())] == expected


def test_a_place_in_a_range_is_that_of_its_own_scale() -> None:
    lr = axes_of(SPACE)[-1]
    assert lr.unit(1e-4) == 0
    assert lr.unit(1e-1) == 1
    assert lr.value(2 / 3) == pytest.approx(1e-2)
    assert lr.unit(lr.value(0.3)) == pytest.approx(0.3)


def test_true_is_not_taken_for_one() -> None:
    axis = axes_of({"model": {"family": "x", "a": {"choices": [1, True, "1"]}}})[0]
    assert [axis.level(value) for value in (1, True, "1", "other")] == [0, 1, 2, 3]
