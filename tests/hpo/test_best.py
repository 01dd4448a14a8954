from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.best import best_of, default_of, describe_config, wilson
from hpo.records import TrialRecord

MakeRecord = Callable[..., TrialRecord]


def test_the_best_trial_is_complete_and_has_the_best_value(make_record: MakeRecord) -> None:
    records = [make_record(0, 0.5), make_record(1, 0.9, state="pruned"), make_record(2, None)]
    best = best_of(records, "maximize")
    assert best is not None
    assert best.number == 0
    assert best_of(records[1:], "maximize") is None


def test_a_tie_goes_to_the_smaller_network(make_record: MakeRecord) -> None:
    records = [make_record(0, 0.5), make_record(1, 0.5, run={"n_parameters": 9})]
    best = best_of(records, "minimize")
    assert best is not None
    assert best.number == 1


def test_the_default_is_trial_0_where_it_is_one(make_record: MakeRecord) -> None:
    default = make_record(0, notes=["default"])
    assert default_of([make_record(1, notes=["default"]), default]) == default
    assert default_of([make_record(0)]) is None


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


def test_wilsons_interval_is_the_known_one() -> None:
    assert wilson(0.9, 10) == pytest.approx([0.5958, 0.9821], abs=1e-4)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilsons_interval_holds_the_share_and_stays_within_0_and_1(n: int, share: float) -> None:
    low, high = wilson(share, n)
    assert 0 <= low <= share + 1e-6
    assert share - 1e-6 <= high <= 1
