import numpy as np
import optuna
import pytest
from scipy.stats import qmc

from hpo.halving import Halving
from hpo.search import PRUNERS, SAMPLERS, HyperbandConfig, TpeConfig
from hpo.strategies import knows_optuna, make_pruner, make_sampler, sobol_point
from hpo.tpe.sampler import QuickTpe

SAMPLER_CLASSES = {
    "tpe": QuickTpe,
    "random": optuna.samplers.RandomSampler,
    "grid": optuna.samplers.RandomSampler,
    "qmc": optuna.samplers.RandomSampler,
    "gp": optuna.samplers.GPSampler,
}
PRUNER_CLASSES = {
    "hyperband": Halving,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "asha": Halving,
    "none": optuna.pruners.NopPruner,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_its_optuna_object(name: str) -> None:
    sampler = make_sampler(SAMPLERS[name].config(), seed=0)
    assert type(sampler) is SAMPLER_CLASSES[name]


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_has_its_optuna_object(name: str) -> None:
    pruner = make_pruner(PRUNERS[name].config(), most_validations=9)
    assert type(pruner) is PRUNER_CLASSES[name]


@pytest.mark.parametrize("name", SAMPLERS)
def test_equal_seeds_propose_equal_values_and_others_do_not(name: str) -> None:
    def first(seed: int) -> float:
        study = optuna.create_study(sampler=make_sampler(SAMPLERS[name].config(), seed=seed))
        return study.ask().suggest_float("x", 0, 1)

    assert first(0) == first(0)
    assert first(0) != first(1)


def test_another_version_of_optuna_gets_its_own_sampler_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optuna, "__version__", "5.1.0")
    knows_optuna.cache_clear()
    try:
        with pytest.warns(UserWarning, match="its own sampler is used") as said:
            samplers = [make_sampler(TpeConfig(), seed=seed) for seed in range(3)]
    finally:
        knows_optuna.cache_clear()
    assert [type(sampler) for sampler in samplers] == [optuna.samplers.TPESampler] * 3
    assert len(said) == 1


def test_hyperband_never_asks_for_more_validations_than_there_are() -> None:
    study = optuna.create_study(
        pruner=make_pruner(HyperbandConfig(min_resource=9), most_validations=2)
    )
    trial = study.ask()
    trial.report(0.0, 1)
    trial.should_prune()


def test_the_points_of_a_sobol_sequence_come_one_by_one() -> None:
    names = ["a", "b", "c"]
    whole = qmc.Sobol(3, scramble=True, rng=5).random(8)
    one_by_one = [list(sobol_point(names, number=n, seed=5).values()) for n in range(8)]
    np.testing.assert_array_equal(one_by_one, whole)


def test_sobol_points_lie_in_the_unit_cube_and_fill_it_evenly() -> None:
    points = np.array([list(sobol_point(["a", "b"], number=n, seed=1).values()) for n in range(16)])
    assert ((points >= 0) & (points < 1)).all()
    for column in points.T:  # one in each sixteenth of every axis
        assert sorted((column * 16).astype(int)) == list(range(16))


def test_sobol_points_bear_their_names_and_differ_by_seed() -> None:
    assert list(sobol_point(["b", "a"], number=3, seed=0)) == ["b", "a"]
    assert sobol_point(["a"], number=3, seed=0) != sobol_point(["a"], number=3, seed=1)
