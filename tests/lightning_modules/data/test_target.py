from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.target import ClassTarget, NumberTarget, Target, fit_target
from lightning_modules.errors import DataError

CONFIG = PrepareConfig()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9, 0], ["0", "9", "10"]),
        ([1.0, 0.0, 1.0], ["0", "1"]),
        ([True, False], ["False", "True"]),
        (["b", "a"], ["a", "b"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["-1", "1"], ["-1", "1"]),
    ],
)
def test_classes_are_text_in_natural_order(labels: list[Any], classes: list[str]) -> None:
    target = fit_target(np.array(labels), task_kind="multiclass", config=CONFIG)
    assert isinstance(target, ClassTarget)
    assert target.classes == classes
    numbers = target.apply(pd.Series(labels))
    assert numbers.dtype == np.int64
    assert [classes[number] for number in numbers] == list(
        map(str, labels if not isinstance(labels[0], float) else map(int, labels))
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["a", "c"],
            "row 2 is of class 'c', which the training rows do not have; known classes: 'a",
        ),
        ([None, "a"], "row 1 has no label"),
    ],
)
def test_a_label_that_training_never_saw_is_refused(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ClassTarget(classes=["a", "b"]).apply(pd.Series(labels, dtype=object))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=10))
def test_numbers_come_back_in_their_own_units(values: list[float]) -> None:
    y = np.array(values)
    target = fit_target(y, task_kind="regression", config=CONFIG)
    assert isinstance(target, NumberTarget)
    scaled = target.apply(y)
    assert scaled.dtype == np.float32
    scale = max(float(np.abs(y).max()), target.sd)
    np.testing.assert_allclose(target.invert(scaled), y, atol=1e-5 * scale)


def test_a_target_can_stay_unscaled() -> None:
    target = fit_target(
        np.array([1.0, 5.0]), task_kind="regression", config=PrepareConfig(target="none")
    )
    assert target == NumberTarget(mean=0.0, sd=1.0)


def test_a_constant_target_has_sd_1() -> None:
    target = fit_target(np.full(7, 0.1), task_kind="regression", config=CONFIG)
    assert target == NumberTarget(mean=0.1, sd=1.0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1.0, np.nan], "the target of row 2 is missing or infinite"),
        ([1.0, 1e300], "the target of row 2, 1e.300, is too large; rescale it"),
        (["x"], "column 'target' holds numbers, but row 1 has 'x'"),
    ],
)
def test_what_is_no_number_is_refused(y: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        NumberTarget(mean=0.0, sd=1.0).apply(pd.Series(y))


@pytest.mark.parametrize(
    ("y", "kind", "config", "message"),
    [
        ([0, 1], "binary", PrepareConfig(target="none"), "data.prepare.target: classes are not sc"),
        (["a", None], "binary", CONFIG, "a training row has no label"),
        ([1.0, np.nan], "regression", CONFIG, "a training target is missing or beyond 1e30"),
        ([1.0, 1e31], "regression", CONFIG, "a training target is missing or beyond 1e30"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    y: list[Any], kind: str, config: PrepareConfig, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_target(pd.Series(y), task_kind=kind, config=config)


@pytest.mark.parametrize("target", [ClassTarget(classes=["a"]), NumberTarget(mean=0.1, sd=1 / 3)])
def test_a_target_is_json_both_ways(target: ClassTarget | NumberTarget) -> None:
    adapter: TypeAdapter[ClassTarget | NumberTarget] = TypeAdapter(Target)
    assert adapter.validate_json(target.model_dump_json()) == target
