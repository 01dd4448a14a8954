"""Our TPE proposes what Optuna's proposes, bit for bit, whatever the trials and the space."""

import math
import random
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from hpo.spec import find_study_file, load_study
from hpo.strategies import CHECKED_OPTUNA
from hpo.tpe import sampler as sampler_module
from hpo.tpe.history import History
from hpo.tpe.sampler import QuickTpe

Decide = Callable[[Trial], object]


def flat(trial: Trial) -> None:
    trial.suggest_float("x", -1.0, 1.0)
    trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_int("width", 16, 256, log=True)
    trial.suggest_int("depth", 1, 4)
    trial.suggest_int("rows", 1, 1_000_000)
    trial.suggest_float("share", 0.0, 1.0, step=0.25)
    trial.suggest_categorical("norm", ["none", "batch", "layer"])
    trial.suggest_categorical("flag", [True, False])
    trial.suggest_int("one", 3, 3)


def branches(trial: Trial) -> None:
    if trial.suggest_categorical("family", ["mlp", "cnn"]) == "mlp":
        for layer in range(trial.suggest_int("mlp.n_layers", 1, 4)):
            trial.suggest_int(f"mlp.{layer}", 16, 256, log=True)
    else:
        trial.suggest_int("cnn.n_channels", 8, 64, step=8)
    if trial.suggest_categorical("optimizer", ["adamw", "sgd"]) == "sgd":
        trial.suggest_float("sgd.momentum", 0.0, 0.99)


def shipped(name: str) -> Decide:
    space = load_study(find_study_file(name)).space
    return lambda trial: space.decide(trial, seed=0)


SPACES: dict[str, Decide] = {
    "flat": flat,
    "branches": branches,
    "quickstart": shipped("quickstart"),
    "mlp": shipped("mlp"),
}


def stock(seed: int) -> optuna.samplers.TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(multivariate=True, group=True, seed=seed)


def ours(seed: int, history: History) -> QuickTpe:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return QuickTpe(n_startup_trials=10, n_ei_candidates=24, seed=seed, history=history)


def end(study: Study, trial: Trial, chance: random.Random) -> None:
    """End a trial in one of the ways that trials end, or leave it running."""
    kind = chance.choice(["complete"] * 4 + ["pruned"] * 3 + ["over", "failed", "running"])
    # Few values: many trials are equally good.
    value = chance.choice([chance.random(), round(chance.random(), 1)])
    if kind == "pruned" and chance.random() < 0.9:
        for step in range(1, chance.randint(2, 5)):
            trial.report(math.nan if chance.random() < 0.1 else value, step)
    if kind == "over":
        trial.set_constraint("failed", chance.choice([1.0, value + 0.1]))
    elif kind != "running":
        trial.set_constraint("failed", 0.0)
    if kind == "failed":
        study.tell(trial, state=TrialState.FAIL)
    elif kind == "pruned" or (kind == "over" and value < 0.5):
        study.tell(trial, state=TrialState.PRUNED)
    elif kind != "running" or chance.random() < 0.7:  # few go on running for long
        study.tell(trial, value)


def studied(decide: Decide, n_trials: int, direction: str) -> tuple[Study, random.Random]:
    """Return a study of ``n_trials`` random trials, and the chance that ended them."""
    study, chance = optuna.create_study(direction=direction), random.Random(n_trials)
    study.sampler = optuna.samplers.RandomSampler(seed=n_trials)
    for _ in range(n_trials):
        trial = study.ask()
        decide(trial)
        end(study, trial, chance)
    return study, chance


def proposed(study: Study, decide: Decide) -> tuple[Trial, object]:
    """Return a trial, and all that its sampler decided: of branches not taken, too."""
    trial = study.ask()
    decide(trial)
    frozen = study.get_trials(deepcopy=False)[trial.number]
    shared = {k: v for k, v in frozen.system_attrs.items() if k.startswith("tpe:")}
    return trial, (frozen.params, shared)


def check_equal(study: Study, decide: Decide, chance: random.Random, *, n_asks: int) -> None:
    history = History()
    for seed in range(n_asks):
        study.sampler = stock(seed)
        trial, expected = proposed(study, decide)
        study.tell(trial, state=TrialState.FAIL)
        study.sampler = ours(seed, history)
        trial, found = proposed(study, decide)
        assert repr(found) == repr(expected)
        end(study, trial, chance)
    assert history.regular


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("n_trials", [0, 20, 200])
@pytest.mark.parametrize("space", SPACES)
def test_every_proposal_is_optunas(space: str, n_trials: int, direction: str) -> None:
    study, chance = studied(SPACES[space], n_trials, direction)
    check_equal(study, SPACES[space], chance, n_asks=8 if n_trials else 24)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_every_proposal_is_optunas_after_a_thousand_trials(space: str) -> None:
    study, chance = studied(SPACES[space], 1000, "maximize")
    check_equal(study, SPACES[space], chance, n_asks=4)


def test_what_rounding_might_swap_is_left_to_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    densities = QuickTpe._compute_acquisition_func

    def noted(self: QuickTpe, *given: Any) -> Any:
        asked.append(self)
        return densities(self, *given)

    monkeypatch.setattr(QuickTpe, "_compute_acquisition_func", noted)
    study, chance = studied(flat, 200, "maximize")
    check_equal(study, flat, chance, n_asks=4)
    assert not asked
    monkeypatch.setattr(sampler_module, "CLEAR", math.inf)
    check_equal(study, flat, chance, n_asks=4)
    assert len(asked) == 4


def test_a_parameter_whose_choices_changed_is_left_to_optuna() -> None:
    study, chance = studied(flat, 60, "maximize")
    moved = {"norm": optuna.distributions.CategoricalDistribution(["layer", "none", "batch"])}
    study.add_trial(
        optuna.create_trial(params={"norm": "none"}, distributions=moved, value=chance.random())
    )
    history = History()
    study.sampler = stock(1)
    trial, expected = proposed(study, flat)
    study.tell(trial, state=TrialState.FAIL)
    study.sampler = ours(1, history)
    assert repr(proposed(study, flat)[1]) == repr(expected)
    assert not history.regular


def test_this_is_the_version_of_optuna_that_ours_is_checked_against() -> None:
    """Another one: run these tests with it, compare `hpo.tpe` with its sampler, then name it."""
    assert optuna.__version__ == CHECKED_OPTUNA
