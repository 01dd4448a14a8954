"""Successive halving, alone and in Hyperband's brackets, at a cost that is flat in the trials.

The decisions are those of Optuna's pruners, which read every trial again at every rung. The rungs
that a trial reached stay in its attributes, as there: a view of the study takes them along.
"""

import math
from binascii import crc32
from bisect import insort
from collections import defaultdict
from collections.abc import Sequence

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

RUNG = "completed_rung_{}"
"""The attribute in which Optuna keeps the value that a trial had at a rung."""


class Halving(BasePruner):
    """Asynchronous successive halving (Li et al., 2020): the best share goes on at every rung.

    Args:
        min_resource: validations before the first rung.
        reduction_factor: one in so many goes on.
        max_resource: validations of the longest run; given, there are Hyperband's brackets (Li et
            al., 2018), of which each starts to halve later than the one before.
    """

    def __init__(
        self, *, min_resource: int, reduction_factor: int, max_resource: int | None = None
    ) -> None:
        self._min_resource = min_resource
        self._factor = reduction_factor
        self._shares = [1]
        """Of so many trials in turn, how many each bracket gets."""
        if max_resource is not None:
            n_brackets = math.floor(math.log(max_resource / min_resource, reduction_factor)) + 1
            self._shares = [
                math.ceil(n_brackets * reduction_factor**more / (more + 1))
                for more in range(n_brackets - 1, -1, -1)
            ]
        self._values: dict[tuple[int, int], list[float]] = defaultdict(list)
        """By bracket and rung: the values of the trials that reached it, ascending."""
        self._reached: dict[int, int] = {}
        """How many rungs of a trial that may reach more are read."""
        self._n_read = 0

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether a trial stops at its last validation."""
        last = trial.last_step
        if last is None:
            return False
        bracket, value = self._bracket(study, trial.number), trial.intermediate_values[last]
        rung = 0
        while RUNG.format(rung) in trial.system_attrs:
            rung += 1
        while last >= self._min_resource * self._factor ** (bracket + rung):
            if math.isnan(value):
                return True
            study._storage.set_trial_system_attr(trial._trial_id, RUNG.format(rung), value)
            self._read(study)
            if not self._goes_on(value, self._values[bracket, rung], study.direction):
                return True
            rung += 1
        return False

    def _bracket(self, study: Study, number: int) -> int:
        """Return the bracket of a trial: random, and the same each time."""
        place = crc32(f"{study.study_name}_{number}".encode()) % sum(self._shares)
        for bracket, share in enumerate(self._shares):
            place -= share
            if place < 0:
                return bracket
        raise AssertionError("the shares add up to more than any remainder")

    def _read(self, study: Study) -> None:
        """Take the rungs that were reached since the last time."""
        trials = study.get_trials(deepcopy=False)
        for number in [*self._reached, *range(self._n_read, len(trials))]:
            self._take(study, trials[number])
        self._n_read = len(trials)

    def _take(self, study: Study, trial: FrozenTrial) -> None:
        rung = self._reached.get(trial.number, 0)
        while (key := RUNG.format(rung)) in trial.system_attrs:
            insort(self._values[self._bracket(study, trial.number), rung], trial.system_attrs[key])
            rung += 1
        self._reached[trial.number] = rung
        if trial.state.is_finished():
            del self._reached[trial.number]

    def _goes_on(self, value: float, values: Sequence[float], direction: StudyDirection) -> bool:
        """Return whether ``value`` is among the best share of ``values``, which it is one of."""
        last = max(len(values) // self._factor - 1, 0)
        if direction == StudyDirection.MAXIMIZE:
            return value >= values[-(last + 1)]
        return value <= values[last]
