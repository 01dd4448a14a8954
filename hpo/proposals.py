"""Proposals: the study as sampler and pruner see it, an Optuna study in memory.

The storage tells the truth, in which a failed trial is FAIL and taught nothing: Optuna's samplers
pass over FAIL, and propose the same failure again. In this view it is infeasible instead.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from pydantic import ValidationError

from hpo.given import check_given
from hpo.grammar.choosers import Given
from hpo.grammar.nodes import Scalar
from hpo.search import GpConfig, GridConfig, QmcConfig
from hpo.spec import StudySpec
from hpo.steering.wishes import ENQUEUED, REQUEST, Wish
from hpo.strategies import make_pruner, make_sampler, sobol_point
from hpo.tpe.history import History
from lightning_modules.config import RunConfig
from lightning_modules.seeds import derive
from lightning_modules.task import Direction

FIRST = "first"
"""The note of a trial that the study file gives: one of ``search.first``."""
FAILED = "failed"
"""The constraint that a failed trial violates."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A config to try, under the number that the storage gives it too."""

    number: int
    config: RunConfig
    trial: FrozenTrial
    """Parameters, distributions and attributes, as Optuna keeps them."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A proposal whose settings exclude each other: it cannot be tried."""

    number: int
    config: dict[str, Any]
    """What was decided, as plain values."""
    trial: FrozenTrial
    notes: tuple[str, ...]
    what: str
    """Which settings exclude each other."""


def grid_points(spec: StudySpec) -> list[dict[str, Scalar]]:
    """Return every point of the grid: the families' defaults first, then the others in order."""
    defaults = [default.params for default in spec.space.defaults()]
    return defaults + [point for point in spec.space.grid() if point not in defaults]


class Proposals:
    """Ask for configs, report validations, tell ends.

    Args:
        spec: the study.
        direction: ``maximize`` or ``minimize``.
        past: all trials of the storage, by number.
        most_validations: how many validations the longest run has.
        window: propose and prune trial n by the trials up to n - window alone, whatever else has
            ended by then: the same sequence whatever the timing. None uses all that has ended.
    """

    def __init__(
        self,
        spec: StudySpec,
        *,
        direction: Direction,
        past: Sequence[FrozenTrial],
        most_validations: int,
        window: int | None = None,
    ) -> None:
        self._spec = spec
        self._direction = direction
        self._most_validations = most_validations
        self._window = window
        self._maximize = direction == "maximize"
        self._defaults = spec.space.defaults()
        grid = isinstance(spec.search.sampler, GridConfig)
        self._grid = grid_points(spec) if grid else []
        self._shared = self._new_study()
        self._history = History()
        """What the samplers have read of the trials: a proposal is a function of the trials."""
        self._open: dict[int, Trial] = {}
        self._ended: dict[int, _Ended] = {}
        """What ended, for the views of a window; a shared view holds it itself."""
        self._unknown = _Ended.of(create_trial(state=TrialState.FAIL))
        self._stops: dict[int, set[int]] = {}
        """Where the pruner stops a trial; one that dies there is told the same when it is back."""
        self._audits: dict[int, int] = {}
        """Where it would have stopped a trial that runs on for the audit."""
        self._count = 0
        for trial in past:
            self._remember(trial)

    @property
    def limit(self) -> int | None:
        """How many trials there can be at most: a grid has an end."""
        return len(self._grid) or None

    def ask(self, wish: Wish | None = None) -> Proposal | Misfit:
        """Propose the next trial: the families' defaults first, then a wish, then the sampler."""
        number, study = self._count, self._view(self._count)
        given, notes = self._given(number)
        if given is not None:
            study.enqueue_trial(dict(given))
        elif wish is not None:
            notes = (ENQUEUED,)
            study.enqueue_trial(dict(wish.params), user_attrs={REQUEST: wish.request})
        seed = derive(self._spec.search.seed, "sampler", number)
        sampler = self._spec.search.sampler
        study.sampler = make_sampler(sampler, seed=seed, history=self._history)
        trial = study.ask()
        decided = self._spec.space.decide(trial, seed=self.seed(number))
        self._count += 1
        self._open[number] = trial
        return _checked(number, decided, _frozen(trial), notes)

    def seed(self, number: int) -> int:
        """Return the seed of a trial's run, from the study's seed and the number alone."""
        return derive(self._spec.search.seed, number)

    def again(self, number: int) -> Proposal | Misfit:
        """Propose a trial once more that was given back: same number, same parameters."""
        frozen = _frozen(self._open[number])
        decided = self._spec.space.decide(Given(frozen.params), seed=self.seed(number))
        _, notes = self._given(number)
        if REQUEST in frozen.user_attrs:
            notes = (ENQUEUED,)
        return _checked(number, decided, frozen, notes)

    def report(self, number: int, *, validation: int, value: float) -> bool:
        """Take the value of a validation; return whether the pruner stops the trial here.

        The families' defaults run to their end: every claim is measured against them.
        """
        trial = self._open[number]
        if validation in _now(trial).intermediate_values:
            return validation in self._stops.get(number, ())
        trial.report(value, validation)
        prune = bool(trial.should_prune())  # some pruners return numpy.bool, which is no JSON
        if prune and number >= len(self._defaults):
            if self._is_audited(number):
                self._audits.setdefault(number, validation)
                return False
            self._stops.setdefault(number, set()).add(validation)
            return True
        return False

    def audited(self, number: int) -> int | None:
        """Return the validation at which the pruner would have stopped a trial that ran on."""
        return self._audits.get(number)

    def tell(self, number: int, state: str, value: float | None, *, violation: float = 0.0) -> None:
        """Take the end of a trial: ``complete``, ``pruned`` or ``failed``.

        Args:
            number: of the trial.
            state: how it ended.
            value: its objective.
            violation: by how much an infeasible one exceeds its limits.
        """
        trial = self._open.pop(number)
        if state == "failed":
            self._tell_failed(trial, violation or 1.0)
        else:
            trial.set_constraint(FAILED, 0.0)
            complete = state == "complete"
            trial.study.tell(
                trial,
                value if complete else None,
                state=TrialState.COMPLETE if complete else TrialState.PRUNED,
            )
        if self._window is not None:
            self._ended[number] = _Ended.of(_frozen(trial))

    def _is_audited(self, number: int) -> bool:
        """Return whether a trial is of the random share that the pruner does not stop."""
        share = self._spec.search.audit
        return share > 0 and derive(self._spec.search.seed, "audit", number) < share * 2**32

    def _tell_failed(self, trial: Trial, violation: float) -> None:
        trial.set_constraint(FAILED, violation)
        # A Gaussian process reads complete trials only.
        complete_only = isinstance(self._spec.search.sampler, GpConfig)
        worst = self._worst(trial.study) if complete_only else None
        if worst is not None:
            trial.study.tell(trial, worst)
        else:
            trial.study.tell(trial, state=TrialState.PRUNED)

    def _worst(self, study: Study) -> float | None:
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [trial.value for trial in trials if trial.value is not None]
        if not values:
            return None
        return min(values) if self._maximize else max(values)

    def _remember(self, trial: FrozenTrial) -> None:
        """Add a trial of the storage to the view, its curve told to the pruner once more.

        Successive halving keeps the rungs that a trial reached in the view alone.
        """
        failed = trial.state == TrialState.FAIL
        ended = failed or trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        study = self._view(trial.number)
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs={k: v for k, v in trial.system_attrs.items() if k != "fixed_params"},
                user_attrs={k: v for k, v in trial.user_attrs.items() if k == REQUEST},
            )
        )
        added = study.get_trials(deepcopy=False)[-1]
        self._open[trial.number] = Trial(study, added._trial_id)
        self._count += 1
        for validation, value in sorted(trial.intermediate_values.items()):
            self.report(trial.number, validation=validation, value=value)
        if ended:
            state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
            violation = trial.user_attrs.get("violation", 0.0)
            now = state.get(trial.state, "failed")
            self.tell(trial.number, now, trial.value, violation=violation)

    def _new_study(self, storage: InMemoryStorage | None = None) -> Study:
        search = self._spec.search
        return optuna.create_study(
            storage=storage,
            study_name="study",  # Hyperband draws brackets from it: the same under every name
            direction=self._direction,
            sampler=make_sampler(search.sampler, seed=search.seed),
            pruner=make_pruner(search.pruner, most_validations=self._most_validations),
        )

    def _view(self, number: int) -> Study:
        """Return the study as trial ``number`` may know it; the rest holds its place only."""
        if self._window is None:
            return self._shared
        storage = InMemoryStorage()
        study = self._new_study(storage)
        study_id = storage.get_study_id_from_name(study.study_name)
        for other in range(number):
            known = self._ended.get(other) if other <= number - self._window else None
            storage.create_new_trial(study_id, known or self._unknown)
        return study

    def _given(self, number: int) -> tuple[dict[str, Scalar] | None, tuple[str, ...]]:
        """Return the parameters that trial ``number`` has in any case, and what to note of them."""
        if number < len(self._defaults):
            default = self._defaults[number]
            return default.params, ("default", *default.notes)
        if number < len(self._grid):
            return self._grid[number], ()
        place = number - len(self._defaults)
        if place < len(self._spec.search.first):
            return check_given(self._spec.space, self._spec.search.first[place]), (FIRST,)
        if isinstance(self._spec.search.sampler, QmcConfig):
            names = [parameter.name for parameter in self._spec.space.parameters()]
            point = sobol_point(
                names, number=number - len(self._defaults), seed=self._spec.search.seed
            )
            return self._spec.space.at(point), ()
        return None, ()


class _Ended(FrozenTrial):
    """A trial that takes its place in many views: it never changes, they share what it holds."""

    @classmethod
    def of(cls, trial: FrozenTrial) -> "_Ended":
        """Return ``trial`` as one that views share."""
        ended = cls.__new__(cls)
        vars(ended).update(vars(trial))
        return ended

    def __deepcopy__(self, memo: object) -> "_Ended":
        return copy.copy(self)


def _checked(
    number: int, decided: dict[str, Any], trial: FrozenTrial, notes: tuple[str, ...]
) -> Proposal | Misfit:
    try:
        config = RunConfig.model_validate(decided)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}"
        return Misfit(number=number, config=decided, trial=trial, notes=notes, what=what)
    return Proposal(number=number, config=config, trial=trial, notes=notes)


def _frozen(trial: Trial) -> FrozenTrial:
    """Return a trial as it is now, in mappings of its own; what they hold never changes."""
    frozen = copy.copy(_now(trial))
    frozen.params, frozen.distributions = dict(frozen.params), dict(frozen.distributions)
    frozen.user_attrs, frozen.system_attrs = dict(frozen.user_attrs), dict(frozen.system_attrs)
    frozen.intermediate_values = dict(frozen.intermediate_values)
    return frozen


def _now(trial: Trial) -> FrozenTrial:
    return trial.storage.get_trial(trial._trial_id)
