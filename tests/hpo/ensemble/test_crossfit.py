"""Nothing is chosen by the rows that it is scored on, and luck is not taken for merit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.ensemble.arrangement import PARTS, Arrangement, Predictions, parts_of
from hpo.ensemble.crossfit import REPEATS, Sides, choose_without, cross_fit, judge, verdict
from hpo.errors import StudyError
from hpo.ship.combined import METHODS
from tests.hpo.ensemble.conftest import KINDS


def poisoned(found: Predictions, rows: np.ndarray) -> Predictions:
    """Return predictions in which these rows are nonsense, outputs and targets both."""
    parts, targets = found.parts.copy(), found.targets.copy()
    parts[:, rows] = 1e6
    targets[rows] = targets[rows] + 1 if targets.dtype.kind == "i" else -1e6
    return replace(found, parts=parts, targets=targets)


def cut(found: Predictions, kind: str) -> list:
    return parts_of(found.arrangement, found.targets, kind, study="tiny", seed=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_held_out_is_not_looked_at(simulate, kind: str, method: str) -> None:
    found, objective = simulate(kind, n_networks=3)
    for part in cut(found, objective.kind)[:2]:
        before = choose_without(part, method, found, objective, seed=3)
        nonsense = poisoned(found, part.held_out)
        assert choose_without(part, method, nonsense, objective, seed=3) == before
        if method in ("greedy", "weighted", "stack"):
            parts = found.parts.copy()
            parts[:2, part.chosen_by] = parts[:2, np.roll(part.chosen_by, 1)]
            others = replace(found, parts=parts)
            assert choose_without(part, method, others, objective, seed=3) != before


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_held_out_once_and_classes_have_their_share(simulate, kind: str) -> None:
    found, objective = simulate(kind)
    parts = cut(found, objective.kind)
    assert len(parts) == PARTS
    held = np.concatenate([part.held_out for part in parts])
    assert sorted(held) == list(range(len(found.targets)))
    for part in parts:
        assert not set(part.held_out) & set(part.chosen_by)
        if kind in ("binary", "multiclass"):
            counts = np.bincount(found.targets[part.held_out])
            assert counts.min() >= np.bincount(found.targets).min() // PARTS


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), n_groups=st.integers(5, 30))
def test_no_group_is_cut(simulate, seed: int, n_groups: int) -> None:
    found, _ = simulate("binary", n_rows=60, n_networks=1)
    units = np.random.default_rng(seed).integers(0, n_groups, 60)
    units = np.unique(units, return_inverse=True)[1]
    for together in ("groups", "rows"):
        rows = Arrangement(units=units, kept_together=together)
        for part in cut(replace(found, arrangement=rows), "binary"):
            assert not set(units[part.held_out]) & set(units[part.chosen_by])
        drawn = rows.draw()(np.random.default_rng(seed))
        assert all(len(set(drawn[units == unit])) == 1 for unit in units)


def test_a_series_is_held_out_in_stretches_and_what_shares_steps_is_not_chosen_by(simulate) -> None:
    found, _ = simulate("forecasting", n_rows=50)
    for part in cut(found, "forecasting"):
        held = part.held_out
        assert np.array_equal(held, np.arange(held[0], held[-1] + 1))
        assert np.abs(part.chosen_by[:, None] - held).min() == found.arrangement.gap + 1


def test_too_few_rows_cannot_be_judged(simulate) -> None:
    found, _ = simulate("binary", n_rows=8)
    one = replace(found, arrangement=Arrangement(units=np.zeros(8, int), kept_together="groups"))
    with pytest.raises(StudyError, match="tiny: 8 rows in 1 groups cannot be cut in two; an ensem"):
        cut(one, "binary")
    near = Arrangement(units=np.arange(8), kept_together="time", gap=9)
    with pytest.raises(StudyError, match="8 moments are too few to choose by some and score on"):
        cut(replace(found, arrangement=near), "forecasting")


@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_of_networks_that_err_differently_is_better_and_the_interval_says_so(
    simulate, kind: str
) -> None:
    found, objective = simulate(kind, n_rows=2000)
    sides, n_parts = cross_fit("weighted", found, objective, study="tiny", seed=0)
    assert (len(sides), n_parts) == (1 if kind == "forecasting" else REPEATS, PARTS)
    scores = judge(sides, objective, parts=n_parts, split="validation", seed=0)
    assert verdict(scores, objective)[0]
    assert scores.ahead > 0.9
    low, high = scores.ci95
    assert low <= scores.difference <= high
    assert scores.difference == pytest.approx(scores.ensemble - scores.single)
    assert (scores.log_loss is not None) == (kind in ("binary", "multilabel"))


def sides_of(found: Predictions, ensemble: np.ndarray, single: np.ndarray) -> list[Sides]:
    rows = {"targets": found.targets, "arrangement": found.arrangement}
    return [Sides(ensemble=ensemble, single=single, **rows)]


def test_equal_sides_are_not_better_and_a_lucky_row_is_not_enough(simulate) -> None:
    found, objective = simulate("binary", n_rows=60)
    right = np.eye(2, dtype=np.float32)[found.targets] * 0.6 + 0.2
    one_wrong = right.copy()
    one_wrong[7] = one_wrong[7][::-1]
    equal = judge(sides_of(found, right, right), objective, parts=5, split="test", seed=0)
    assert (equal.difference, equal.ci95, equal.ahead) == (0.0, [0.0, 0.0], 0.5)
    lucky = judge(sides_of(found, right, one_wrong), objective, parts=5, split="test", seed=0)
    assert lucky.difference > 0
    for scores in (equal, lucky):
        better, why = verdict(scores, objective)
        assert not better
        assert why.endswith("its log loss is not better by more than their luck")


def test_where_the_objective_cannot_tell_the_log_loss_decides(simulate) -> None:
    found, objective = simulate("binary", n_rows=60)
    unsure = np.eye(2, dtype=np.float32)[found.targets] * 0.2 + 0.4
    sure = np.eye(2, dtype=np.float32)[found.targets] * 0.6 + 0.2
    scores = judge(sides_of(found, sure, unsure), objective, parts=5, split="test", seed=0)
    assert (scores.difference, scores.log_loss.difference < 0) == (0.0, True)
    better, why = verdict(scores, objective)
    assert better
    assert why.startswith("by accuracy the rows cannot tell it from the single best, and its log")
    wrong = sure.copy()
    wrong[:30] = wrong[:30, ::-1]
    worse = judge(sides_of(found, wrong, unsure), objective, parts=5, split="test", seed=0)
    assert verdict(worse, objective) == (
        False,
        "its accuracy is worse than that of the single best",
    )


def test_copies_of_one_network_are_never_better_than_it(simulate) -> None:
    for kind in ("binary", "several"):
        found, objective = simulate(kind, n_networks=1)
        same = replace(found, parts=np.concatenate([found.parts] * 4))
        for method in ("greedy", "mean", "weighted"):
            sides, n_parts = cross_fit(method, same, objective, study="tiny", seed=0)
            scores = judge(sides, objective, parts=n_parts, split="validation", seed=0)
            assert scores.difference == pytest.approx(0.0, abs=1e-5)
            assert not verdict(scores, objective)[0]


def test_many_rows_are_cut_once(simulate) -> None:
    found, objective = simulate("regression", n_rows=6000, n_networks=2)
    assert len(cross_fit("mean", found, objective, study="tiny", seed=0)[0]) == 1


def test_an_objective_that_is_undefined_is_said(simulate) -> None:
    found, objective = simulate("regression")
    broken = sides_of(found, np.full_like(found.parts[0], np.nan), found.parts[0])
    with pytest.raises(StudyError, match="rmse: is undefined on the test rows: nan and"):
        judge(broken, objective, parts=5, split="test", seed=0)
