"""What is kept of the trials is what Optuna's TPE reads of them, at every moment of a study."""

import math
import random
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hpo.tpe.history import History
from hpo.tpe.sampler import QuickTpe

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
MIXTURES = {
    "all kinds": ["complete", "complete", "pruned", "infeasible", "failed"],
    "mostly infeasible": ["infeasible"] * 12 + ["complete"],
    "mostly pruned": ["pruned"] * 12 + ["complete", "infeasible"],
}


def decide(trial: Trial) -> None:
    if trial.suggest_categorical("family", ["mlp", "cnn"]) == "mlp":
        for layer in range(trial.suggest_int("mlp.n_layers", 1, 3)):
            trial.suggest_int(f"mlp.{layer}", 16, 256, log=True)
    else:
        trial.suggest_float("cnn.dropout", 0.0, 0.5, step=0.1)
    trial.suggest_float("lr", 1e-5, 1e-1, log=True)


def end(study: Study, trial: Trial, kind: str, chance: random.Random) -> None:
    value = chance.choice([chance.random(), round(chance.random(), 1), math.inf])
    for step in range(1, chance.randint(1, 4)):
        trial.report(math.nan if chance.random() < 0.2 else value, step)
    trial.set_constraint("a", round(chance.random(), 1) if kind == "infeasible" else -1.0)
    trial.set_constraint("b", 0.1 if kind == "infeasible" else 0.0)
    complete = kind == "complete" or (kind == "infeasible" and chance.random() < 0.5)
    state = TrialState.COMPLETE if complete else TrialState.PRUNED
    state = TrialState.FAIL if kind == "failed" else state
    study.tell(trial, value if complete else None, state=state)


def check(history: History, study: Study, sampler: QuickTpe, running: list[Trial]) -> None:
    """Compare with Optuna, as its sampler would read the study for the trial that came last."""
    current = study.get_trials(deepcopy=False)[running[-1].number]
    sampler._reads(study, current)
    trials = study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    )
    trials = [trial for trial in trials if trial.number != current.number]
    n_ended = sum(trial.state in FINISHED for trial in trials)
    assert (history.n_ended, history.regular) == (n_ended, True)
    groups = _GroupDecomposedSearchSpace(True).calculate(study).search_spaces
    assert history.groups() == groups
    for n_below in (0, 1, min(math.ceil(n_ended / 10), 25), n_ended // 2, n_ended + 5):
        expected: tuple[list[FrozenTrial], ...] = _split_trials(study, trials, n_below)
        for places, part in zip(history.split(current.number, n_below), expected, strict=True):
            assert places.tolist() == [trial.number for trial in part]
            for group in groups:
                read = TPESampler._get_internal_repr(sampler, part, group, study)
                kept = history.observations(places, list(group))
                np.testing.assert_equal(kept, {name: read[name] for name in group})
        history._splits.clear()


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_what_is_kept_is_what_optuna_reads(mixture: str, direction: str) -> None:
    chance, history = random.Random(direction), History()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        given: dict[str, Any] = {"n_startup_trials": 5, "n_ei_candidates": 4}
        sampler = QuickTpe(**given, seed=0, history=history)
    study = optuna.create_study(direction=direction, sampler=sampler)
    running: list[Trial] = []
    for _ in range(60):
        trial = study.ask()
        decide(trial)
        running.append(trial)
        check(history, study, sampler, running)
        while len(running) > chance.randint(1, 5):  # whichever ends first
            place = chance.randrange(len(running))
            end(study, running.pop(place), chance.choice(MIXTURES[mixture]), chance)


def test_a_trial_that_a_view_does_not_show_yet_is_read_when_one_does() -> None:
    def view(known: list[float | None]) -> list[FrozenTrial]:
        study = optuna.create_study()
        hidden = optuna.create_trial(state=TrialState.FAIL)
        for value in known:
            study.add_trial(hidden if value is None else optuna.create_trial(value=value))
        return study.get_trials(deepcopy=False)

    history = History()
    history.read(view([0.5, None, None]), maximize=False)
    assert (history.n_ended, history.split(4, 1)[1].tolist()) == (1, [])
    history.read(view([0.5, 0.4, None, None]), maximize=False)
    assert [places.tolist() for places in history.split(4, 1)] == [[1], [0]]


def test_the_groups_are_ordered_by_the_numbers_of_the_trials_not_by_their_ends() -> None:
    study, history = optuna.create_study(), History()
    trials = [study.ask() for _ in range(3)]
    for trial, other in zip(trials, "bab", strict=True):
        trial.suggest_float("x", 0, 1)
        trial.suggest_float(other, 0, 1)
    for number in (1, 2, 0):
        study.tell(trials[number], 0.0)
        history.read(study.get_trials(deepcopy=False), maximize=False)
        calculated = _GroupDecomposedSearchSpace(True).calculate(study)
        assert history.groups() == calculated.search_spaces
