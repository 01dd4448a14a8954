import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.words import (
    ASCII_MARKS,
    MARKS,
    arrow,
    counts,
    describe_config,
    duration,
    number,
    params_words,
    plain_value,
    sparkline,
    trial_words,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.000"), (1.0, "1.000"), (1234.0, "1234"), (12345.6, "1.235e+04")],
)
def test_a_number_has_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_a_number_is_right_to_four_digits(value: float) -> None:
    assert math.isclose(float(number(value)), value, rel_tol=6e-4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0s"), (59.94, "59.9s"), (59.96, "1m00s"), (3599.6, "1h00m"), (86400, "24h00m")],
)
def test_a_duration_never_says_sixty(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_arrow_points_to_what_is_better() -> None:
    assert (arrow("maximize"), arrow("minimize")) == ("↑", "↓")


@given(st.lists(st.floats(-1e6, 1e6)), st.integers(1, 60))
def test_a_sparkline_has_a_bar_for_each_of_the_last_values(values: list[float], width: int) -> None:
    bars = sparkline(values, width)
    assert len(bars) == min(len(values), width)
    assert set(bars) <= set("▁▂▃▄▅▆▇█")


def test_equal_values_are_a_flat_line() -> None:
    assert sparkline([2.0, 2.0]) == "▄▄"


def test_every_state_has_a_mark_in_both_alphabets() -> None:
    assert set(MARKS) == set(ASCII_MARKS) == set(counts([]))
    assert "".join(ASCII_MARKS.values()).isascii()


def test_a_trial_is_told_by_what_became_of_it(finished) -> None:
    assert trial_words(finished.records[0]) == "default mlp"
    assert trial_words(finished.of("pruned")).startswith("stopped at epoch 1  mlp 1×")
    assert trial_words(finished.of("failed")).startswith("nan: non-finite loss in epoch 1")
    assert trial_words(finished.records[1]).startswith("mlp 1×6 adamw lr ")


def test_states_are_counted(finished) -> None:
    tally = counts(finished.records)
    assert sum(tally.values()) == 7
    assert all(tally.values())


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.123"), (1234567, "1234567"), (None, "none"), ("a", "a")]
)
def test_only_fractions_are_rounded(value: object, text: str) -> None:
    assert plain_value(value) == text


def test_parameters_keep_their_order() -> None:
    assert params_words({"b": 1, "a": None}) == [("b", "1"), ("a", "none")]


@pytest.mark.parametrize(
    ("model", "optimizer", "text"),
    [
        (
            {"family": "mlp", "layers": [8, 4]},
            {"name": "sgd", "lr": 0.05},
            "mlp 8-4 sgd lr 0.05",
        ),
        (
            {"family": "mlp", "layers": None, "n_layers": 2, "width": 16},
            {"name": "adamw", "lr": 0.0012345},
            "mlp 2×16 adamw lr 0.00123",
        ),
        ({"family": "Own", "lr": 0.00012345, "n": 3}, None, "Own lr=0.000123 n=3"),
        ({"family": "Own", "n_layers": 1, "width": 8}, None, "Own n_layers=1 width=8"),
    ],
)
def test_a_config_is_described_in_a_few_words(
    model: dict[str, Any], optimizer: dict[str, Any] | None, text: str
) -> None:
    assert describe_config({"model": model, "optimizer": optimizer}) == text


def test_the_command_line_reads_no_record_before_it_is_asked_to() -> None:
    program = "import sys, hpo.cli; print({'hpo.best', 'hpo.records', 'pydantic'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
