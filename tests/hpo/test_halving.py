"""Our halving stops what Optuna's pruners stop, whatever runs beside."""

import math
import random

import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.study import Study
from optuna.trial import Trial, TrialState

from hpo.halving import RUNG, Halving

LONGEST = 9
PAIRS = {
    "hyperband": lambda: (
        HyperbandPruner(min_resource=1, max_resource=LONGEST, reduction_factor=3),
        Halving(min_resource=1, max_resource=LONGEST, reduction_factor=3),
    ),
    "hyperband by two": lambda: (
        HyperbandPruner(min_resource=2, max_resource=LONGEST, reduction_factor=2),
        Halving(min_resource=2, max_resource=LONGEST, reduction_factor=2),
    ),
    "asha": lambda: (
        SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        Halving(min_resource=1, reduction_factor=3),
    ),
}


def study_of(pruner: BasePruner, direction: str) -> Study:
    storage = optuna.storages.InMemoryStorage()
    return optuna.create_study(
        storage=storage, study_name="study", direction=direction, pruner=pruner
    )


class Side:
    """A study of one pruner; both sides are told the same."""

    def __init__(self, pruner: BasePruner, direction: str) -> None:
        self.study = study_of(pruner, direction)
        self.running: list[Trial] = []

    def begin(self) -> None:
        self.running.append(self.study.ask())

    def report(self, place: int, step: int, value: float) -> bool:
        self.running[place].report(value, step)
        return bool(self.running[place].should_prune())

    def end(self, place: int, state: TrialState, value: float) -> None:
        trial = self.running.pop(place)
        self.study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)

    @property
    def rungs(self) -> list[dict[str, float]]:
        return [
            {key: value for key, value in trial.system_attrs.items() if "rung" in key}
            for trial in self.study.get_trials(deepcopy=False)
        ]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("pair", PAIRS)
def test_every_decision_is_optunas(pair: str, direction: str) -> None:
    chance = random.Random(direction)
    theirs, ours = (Side(pruner, direction) for pruner in PAIRS[pair]())
    steps: list[int] = []
    stopped = 0
    for _ in range(600):
        if len(steps) < 3:
            theirs.begin(), ours.begin()
            steps.append(0)
        place = chance.randrange(len(steps))
        steps[place] += 1
        value = chance.choice([chance.random(), round(chance.random(), 1), math.inf])
        value = math.nan if chance.random() < 0.02 else value
        stops = theirs.report(place, steps[place], value)
        assert ours.report(place, steps[place], value) is stops
        stopped += stops
        state = TrialState.PRUNED if stops else None
        if steps[place] == LONGEST or chance.random() < 0.03:
            state = chance.choice([TrialState.COMPLETE, TrialState.FAIL])
        if state is not None:
            theirs.end(place, state, 0.5), ours.end(place, state, 0.5)
            steps.pop(place)
    assert stopped > 40
    assert ours.rungs == theirs.rungs


def test_the_rungs_of_trials_that_another_pruner_judged_count() -> None:
    study = study_of(Halving(min_resource=1, reduction_factor=2), "maximize")
    for value in (0.8, 0.9):
        rungs = {RUNG.format(0): value}
        study.add_trial(optuna.create_trial(value=value, system_attrs=rungs))
    trial = study.ask()
    trial.report(0.7, 1)
    assert trial.should_prune()
