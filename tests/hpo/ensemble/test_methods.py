"""The maths of the methods: weights that sum to one, of least loss; greedy no worse than any."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from hpo.ensemble.greedy import choose
from hpo.ensemble.methods import fit, weigh
from hpo.ensemble.stacking import _classes, _labels, stack
from hpo.ship.combined import METHODS, combine, evidence
from tests.hpo.ensemble.conftest import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_combines_every_kind_of_task(simulate, kind: str, method: Any) -> None:
    found, objective = simulate(kind)
    combination = fit(method, found.parts, found.targets, objective, seed=1)
    together = combine(combination, list(found.parts))
    assert together.shape == found.parts[0].shape
    assert together.dtype == np.float32
    if method != "stack":
        assert min(combination.weights) >= 0
        assert sum(combination.weights) == pytest.approx(1.0)
    if kind in ("binary", "multiclass"):
        np.testing.assert_allclose(together.sum(1), 1.0, rtol=1e-6)
    alone = [objective.loss(one, found.targets) for one in found.parts]
    assert objective.loss(together, found.targets) < np.mean(alone)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), n_networks=st.integers(1, 7), kind=st.sampled_from([*KINDS]))
def test_greedy_is_never_worse_than_the_best_on_the_rows_it_chooses_by(
    simulate, seed: int, n_networks: int, kind: str
) -> None:
    found, objective = simulate(kind, n_networks=n_networks, n_rows=25, seed=seed)
    weights = choose(found.parts, found.targets, objective, seed=seed)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0
    together = np.tensordot(weights, found.parts, axes=1).astype(np.float32)
    best = max(objective.merit(one, found.targets) for one in found.parts)
    assert objective.merit(together, found.targets) >= best


def test_greedy_takes_the_only_good_network_and_leaves_noise_out(simulate) -> None:
    found, objective = simulate("regression", n_networks=4)
    parts = found.parts.copy()
    parts[2] = found.targets + 0.01
    weights = choose(parts, found.targets, objective, seed=0)
    assert weights[2] > 0.6
    assert np.array_equal(weights, choose(parts, found.targets, objective, seed=0))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from([*KINDS]))
def test_no_weights_on_a_grid_have_less_loss_than_the_fitted_ones(
    simulate, seed: int, kind: str
) -> None:
    found, objective = simulate(kind, n_networks=3, n_rows=40, seed=seed)
    weights = weigh(found.parts, found.targets, objective)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0

    def loss(tried: Any) -> float:
        together = np.tensordot(tried, found.parts, axes=1).astype(np.float32)
        return objective.loss(together, found.targets)

    steps = np.linspace(0, 1, 21)
    grid = [(a, b, 1 - a - b) for a, b in itertools.product(steps, steps) if a + b <= 1]
    assert loss(weights) <= min(map(loss, grid)) * (1 + 2e-3) + 1e-6


def test_a_quantile_is_weighted_for_its_own_loss(simulate) -> None:
    found, objective = simulate("regression", metric="mae", n_rows=300, n_networks=2)
    rmse = simulate("regression", n_rows=300)[1]
    parts = found.parts.copy()
    parts[1, ::9] += 4  # rare and wild: squared errors shun it, absolute ones do not
    parts[1] = np.where(np.arange(300) % 9 == 0, parts[1], found.targets)
    assert weigh(parts, found.targets, objective)[1] > 0.9
    assert weigh(parts, found.targets, rmse)[1] < 0.5


@pytest.mark.parametrize(("kind", "loss_of"), [("multiclass", _classes), ("multilabel", _labels)])
def test_the_gradients_of_a_stack_are_those_of_its_loss(simulate, kind: str, loss_of: Any) -> None:
    found, _ = simulate(kind, n_networks=3)
    loss = loss_of(evidence(found.parts.astype(np.float64), kind), found.targets)
    point = np.random.default_rng(0).normal(size=3 + found.parts.shape[-1])
    expected = approx_fprime(point, lambda tried: loss(tried)[0], 1e-6)
    np.testing.assert_allclose(loss(point)[1], expected, atol=1e-5)


def test_a_stack_of_few_rows_stays_near_the_plain_mean(simulate) -> None:
    for kind in ("multiclass", "multilabel", "regression"):
        few, objective = simulate(kind, n_rows=8)
        coefficients, added = stack(few.parts.astype(np.float64), few.targets, objective.kind)
        np.testing.assert_allclose(coefficients, 0.2, atol=0.25)
        if kind != "regression":
            assert np.abs(added).max() < 0.5


def test_a_stack_corrects_what_all_networks_have_in_common(simulate) -> None:
    found, objective = simulate("regression", n_rows=200)
    off = found.parts + 5.0
    combination = fit("stack", off, found.targets, objective, seed=0)
    mean = fit("mean", off, found.targets, objective, seed=0)
    stacked, plain = (combine(one, list(off)) for one in (combination, mean))
    assert objective.value(stacked, found.targets) < 0.3 * objective.value(plain, found.targets)


def test_networks_that_are_the_same_or_right_in_every_row_break_no_method(simulate) -> None:
    for kind in KINDS:
        found, objective = simulate(kind, n_networks=3)
        same = np.stack([found.parts[0]] * 3)
        right = found.parts.copy()
        if kind in ("binary", "multiclass"):
            right[0] = np.eye(right.shape[-1], dtype=np.float32)[found.targets]
        else:
            right[0] = found.targets
        for parts, method in itertools.product((same, right), METHODS):
            combination = fit(method, parts, found.targets, objective, seed=0)
            assert np.isfinite(combine(combination, list(parts))).all()
