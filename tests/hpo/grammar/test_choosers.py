import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hpo.grammar.choosers import ByDefault, Chance, Chooser, Given, Unit, on_grid

seeds = st.integers(0, 1000)
shares = st.floats(0, 1, exclude_max=True)


def by_default(value: float) -> ByDefault:
    chooser = ByDefault({})
    chooser.reference = {"x": value}
    return chooser


choosers = st.one_of(
    st.builds(Chance, seeds),
    st.builds(lambda share: Unit({"x": share}), shares),
    st.builds(by_default, st.floats(-1e6, 1e6)),
    st.builds(by_default, st.integers(-100, 100)),
    st.builds(ByDefault, st.just({})),
)


@given(choosers, st.integers(-50, 50), st.integers(0, 50), st.integers(1, 7))
def test_a_whole_number_lies_on_the_steps_of_its_range(
    chooser: Chooser, low: int, n_steps: int, step: int
) -> None:
    value = chooser.suggest_int("x", low, low + n_steps * step, step=step)
    assert type(value) is int
    assert value in range(low, low + n_steps * step + 1, step)


@given(choosers, st.integers(1, 50), st.integers(1, 1000))
def test_a_logarithmic_whole_number_lies_in_its_range(
    chooser: Chooser, low: int, more: int
) -> None:
    assert chooser.suggest_int("x", low, low + more, log=True) in range(low, low + more + 1)


@given(choosers, st.floats(1e-8, 1e3), st.floats(1e-8, 1e3), st.booleans())
def test_a_number_lies_in_its_range(chooser: Chooser, one: float, other: float, log: bool) -> None:
    low, high = sorted((one, other))
    assume(low < high)
    value = chooser.suggest_float("x", low, high, log=log)
    assert type(value) is float
    assert low <= value <= high


@given(choosers, st.integers(1, 9), st.sampled_from([0.1, 0.01, 0.3, 1e-3]))
def test_a_stepped_number_never_exceeds_its_range(
    chooser: Chooser, n_steps: int, step: float
) -> None:
    low, high = 0.1, round(0.1 + n_steps * step, 6)
    value = chooser.suggest_float("x", low, high, step=step)
    assert low <= value <= high
    assert math.isclose((value - low) / step, round((value - low) / step), abs_tol=1e-6)


@given(choosers, st.lists(st.text(max_size=3), min_size=1, max_size=4, unique=True))
def test_a_choice_is_one_of_the_choices(chooser: Chooser, choices: list[Any]) -> None:
    assert chooser.suggest_categorical("x", choices) in choices


def test_a_grid_point_does_not_exceed_the_range_by_rounding() -> None:
    assert 0.1 + 2 * 0.1 > 0.3
    assert on_grid(0.1, 0.3, 0.1, 2) == 0.3


def test_chance_repeats_itself_for_a_seed() -> None:
    one, other, third = Chance(1), Chance(1), Chance(2)
    drawn = [c.suggest_float("x", 0, 1) for c in (one, other, third)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("share", [0.0, 0.999999])
def test_the_unit_interval_reaches_both_ends_of_a_range(share: float) -> None:
    end = -1 if share else 0
    unit = Unit({"x": share})
    assert unit.suggest_int("x", 1, 4) == (1, 4)[end]
    assert unit.suggest_int("x", 2, 64, log=True) == (2, 64)[end]
    assert unit.suggest_float("x", 0.1, 0.3, step=0.1) == (0.1, 0.3)[end]
    assert unit.suggest_categorical("x", ["a", "b", "c"]) == "ac"[end]


def test_given_values_are_taken_as_they_are() -> None:
    chooser = Given({"a": 3, "b": 0.5, "c": None})
    assert chooser.suggest_int("a", 0, 1) == 3
    assert chooser.suggest_float("b", 0, 1) == 0.5
    assert chooser.suggest_categorical("c", [1]) is None
    with pytest.raises(KeyError, match="d"):
        chooser.suggest_int("d", 0, 1)


@pytest.mark.parametrize(("default", "value"), [(128, 64), (1, 16), (32, 32)])
def test_a_default_outside_is_clipped_and_the_note_says_so(default: int, value: int) -> None:
    chooser = by_default(default)
    assert chooser.suggest_int("x", 16, 64) == value
    told = [f"x: default {default} lies outside; {value} instead"] if default != value else []
    assert chooser.notes == told
    assert chooser.params == {"x": value}


def test_a_default_between_two_steps_is_moved_and_the_note_says_so() -> None:
    chooser = by_default(128)
    assert chooser.suggest_int("x", 100, 200, step=50) == 150
    assert chooser.notes == ["x: default 128 is no step; 150 instead"]


def test_without_a_default_the_middle_of_the_range_is_taken_silently() -> None:
    chooser = ByDefault({})
    assert chooser.suggest_int("x", 0, 10) == 5
    assert chooser.suggest_float("y", 1e-4, 1.0, log=True) == pytest.approx(1e-2)
    assert chooser.notes == []


def test_a_default_that_is_no_choice_gives_way_to_the_first_and_the_note_says_so() -> None:
    chooser = ByDefault({})
    chooser.reference = {"x": "relu", "flag": True}
    assert chooser.suggest_categorical("x", ["tanh", "relu"]) == "relu"
    assert chooser.suggest_categorical("x", ["tanh", "gelu"]) == "tanh"
    assert chooser.suggest_categorical("flag", [1, 0]) == 1
    assert chooser.notes == [
        "x: default 'relu' is no choice; 'tanh' instead",
        "flag: default True is no choice; 1 instead",
    ]


def test_a_default_is_found_below_the_name_of_its_branch() -> None:
    chooser = ByDefault({"optimizer": "sgd"})
    chooser.reference = {"optimizer": {"name": "sgd", "lr": 0.05}}
    assert chooser.suggest_categorical("optimizer", ["adam", "sgd"]) == "sgd"
    assert chooser.suggest_float("optimizer.sgd.lr", 0, 1) == 0.05
    assert chooser.suggest_float("optimizer.adam.lr", 0, 1) == 0.5
