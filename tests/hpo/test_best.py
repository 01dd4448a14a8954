from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.best import best_of, default_of, wilson
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


def test_wilsons_interval_is_the_known_one() -> None:
    assert wilson(0.9, 10) == pytest.approx([0.5958, 0.9821], abs=1e-4)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilsons_interval_holds_the_share_and_stays_within_0_and_1(n: int, share: float) -> None:
    low, high = wilson(share, n)
    assert 0 <= low <= share + 1e-6
    assert share - 1e-6 <= high <= 1
