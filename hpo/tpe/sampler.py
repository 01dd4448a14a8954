"""QuickTpe: Optuna's TPE, proposal for proposal, at a cost that hardly grows with the trials.

Optuna's own reads and splits all trials anew for every parameter group of every proposal, and
evaluates every kernel with Python's functions. This one overrides functions that Optuna does not
promise to keep: `hpo.strategies` takes it for the one version that it was checked against.
"""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import default_gamma
from optuna.search_space.group_decomposed import _SearchSpaceGroup
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from hpo.tpe.density import log_density
from hpo.tpe.history import History, Places

MANY = 50
"""With fewer trials, Optuna's own densities cost less than it takes to load SciPy's functions."""
CLEAR = 1e-5
"""Our densities are rounded otherwise than Optuna's; where two candidates are nearer than this,
Optuna's decide."""
Space = dict[str, BaseDistribution]


class QuickTpe(TPESampler):
    """Multivariate TPE over parameter groups, with Optuna's defaults.

    Args:
        n_startup_trials: how many trials are random before the model proposes.
        n_ei_candidates: how many candidates are compared for each proposal.
        seed: of the random numbers.
        history: what is kept of the study's trials, beside the sampler: it may be a new sampler
            each time.
    """

    def __init__(
        self,
        *,
        n_startup_trials: int,
        n_ei_candidates: int,
        seed: int,
        history: History,
    ) -> None:
        super().__init__(
            multivariate=True,
            group=True,
            n_startup_trials=n_startup_trials,
            n_ei_candidates=n_ei_candidates,
            seed=seed,
        )
        self._history = history
        self._read_for: int | None = None
        """The trial that the history was last brought up to date for."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Space:
        """Return what can be sampled jointly, group after group."""
        if not self._reads(study, trial):
            return super().infer_relative_search_space(study, trial)
        groups = _SearchSpaceGroup()
        groups._search_spaces = self._history.groups()
        self._search_space_group = groups
        return {
            name: distribution
            for group in groups.search_spaces
            for name, distribution in sorted(group.items())
            if not distribution.single()
        }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a value of a parameter that no trial had so far."""
        if not self._reads(study, trial):
            return super().sample_independent(study, trial, param_name, param_distribution)
        if self._history.n_ended < self._n_startup_trials:
            return self._random_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )
        return self._sample(study, trial, {param_name: param_distribution})[param_name]

    def _reads(self, study: Study, trial: FrozenTrial) -> bool:
        """Bring the history up to date, once a trial; return whether it describes the study."""
        history = self._history
        if trial.number == self._read_for:
            return history.regular
        if study._is_multi_objective():
            return False
        self._read_for, trials = trial.number, study._get_trials(deepcopy=False)
        history.read(trials, maximize=study.direction == StudyDirection.MAXIMIZE)
        for other in history.running(trials, trial.number):
            history.note(other, self._get_params(other, study))
        return history.regular

    def _sample_relative(self, study: Study, trial: FrozenTrial, search_space: Space) -> Any:
        if not self._reads(study, trial):
            return super()._sample_relative(study, trial, search_space)
        if not search_space or self._history.n_ended < self._n_startup_trials:
            return {}
        return self._sample(study, trial, search_space)

    def _sample(self, study: Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        history = self._history
        known = [history.has_choices(*parameter) for parameter in search_space.items()]
        if not history.regular or not all(known):
            return super()._sample(study, trial, search_space)
        below, above = history.split(trial.number, default_gamma(history.n_ended))
        good, bad = (self._estimator(places, search_space) for places in (below, above))
        samples = good.sample(self._rng.rng, self._n_ei_candidates)
        points = np.stack([samples[name] for name in search_space], axis=1)
        best = self._clear_best(points, good, bad) if history.n_ended >= MANY else None
        if best is None:
            best = int(np.argmax(self._compute_acquisition_func(samples, good, bad)))
        return {
            name: distribution.to_external_repr(samples[name][best].item())
            for name, distribution in search_space.items()
        }

    def _estimator(self, places: Places, space: Space) -> Any:
        observations = self._history.observations(places, list(space))
        return self._parzen_estimator_cls(observations, space, self._parzen_estimator_parameters)

    def _clear_best(self, points: Any, good: Any, bad: Any) -> int | None:
        """Return which of ``points`` is best; None where rounding might decide."""
        likely = log_density(good._mixture_distribution, points)
        unlikely = log_density(bad._mixture_distribution, points)
        if likely is None or unlikely is None:
            return None
        gain = likely - unlikely
        best = int(np.argmax(gain))
        near = points[gain >= gain[best] - CLEAR]
        return best if (near == points[best]).all() else None
