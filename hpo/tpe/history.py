"""History: what TPE reads of all trials at every proposal, kept from one to the next.

Optuna reads every trial anew for each parameter group of each proposal. What a trial that ended
says never changes: it is read once, into arrays that grow.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
"""Numbers of trials, ascending."""

UNKNOWN, RUNNING, COMPLETE, PRUNED, INFEASIBLE = range(5)
"""What a trial is for the sampler; the last three have ended."""
Space = dict[str, BaseDistribution]


class History:
    """The trials of one study, by number, as arrays.

    A trial is read again until it has ended. Views of a study that differ only in which trials are
    known yet can share a history, as long as they are read in their order.
    """

    def __init__(self) -> None:
        self.regular = True
        """Whether every trial is in its place, and every parameter has one set of choices."""
        self._n = 0
        self._open: list[int] = []
        """Trials that had not ended when they were read last."""
        self._kinds = np.zeros(64, dtype=np.int8)
        self._ranks = np.zeros((64, 2))
        """By which trials of one kind are ordered; the lower, the better."""
        self._columns: dict[str, Floats] = {}
        """Every parameter, as Optuna represents it inside; not a number where a trial lacks it."""
        self._distributions: Space = {}
        self._first_with: dict[frozenset[str], FrozenTrial] = {}
        """Of trials that ended, the first one that has exactly these parameters."""
        self._groups: list[Space] | None = None
        self._splits: dict[tuple[int, int], tuple[Places, Places]] = {}

    def read(self, trials: Sequence[FrozenTrial], *, maximize: bool) -> None:
        """Read what has changed since the last time."""
        self._grow(len(trials))
        unread = [*self._open, *range(self._n, len(trials))]
        self._n = len(trials)
        self._open = [n for n in unread if not self._take(n, trials[n], maximize=maximize)]

    @property
    def n_ended(self) -> int:
        """How many trials have ended, but for those that failed in Optuna's own sense."""
        return int(np.count_nonzero(self._kinds[: self._n] >= COMPLETE))

    def groups(self) -> list[Space]:
        """Return the parameters in groups: trials that ended have all of a group, or none.

        Optuna orders the groups by the trials that split them; each draws from the generator in
        turn. A trial whose parameters another one had before splits nothing.
        """
        if self._groups is None:
            self._groups = []
            for trial in sorted(self._first_with.values(), key=lambda trial: trial.number):
                self._groups = _split_groups(self._groups, trial.distributions)
        return self._groups

    def has_choices(self, name: str, distribution: BaseDistribution) -> bool:
        """Return whether ``distribution`` represents values as those that were read."""
        known = self._distributions.get(name, distribution)
        return not isinstance(known, CategoricalDistribution) or known == distribution

    def running(self, trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
        """Return the trials that run beside trial ``number``."""
        return [trials[n] for n in self._open if n != number and self._kinds[n] == RUNNING]

    def note(self, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
        """Take the parameters of a running trial; they may change until it has ended."""
        for column in self._columns.values():
            column[trial.number] = np.nan
        for name, value in params.items():
            own = trial.distributions.get(name)
            distribution = self._distributions.get(name, own)
            if distribution is not None:
                self._column(name)[trial.number] = distribution.to_internal_repr(value)

    def split(self, number: int, n_below: int) -> tuple[Places, Places]:
        """Return the best ``n_below`` trials that ended, and all others but ``number``."""
        if (number, n_below) not in self._splits:
            self._splits[number, n_below] = self._split(number, n_below)
        return self._splits[number, n_below]

    def _split(self, number: int, n_below: int) -> tuple[Places, Places]:
        kinds = self._kinds[: self._n]
        below: list[Places] = []
        left = n_below
        for kind in (COMPLETE, PRUNED, INFEASIBLE):
            places = np.flatnonzero(kinds == kind)
            ranks = self._ranks[places]
            best = places[np.lexsort((ranks[:, 1], ranks[:, 0]))[:left]]
            below.append(best)
            left -= len(best)
        chosen = np.sort(np.concatenate(below))
        rest = kinds != UNKNOWN
        rest[chosen] = False
        if number < len(rest):
            rest[number] = False
        return chosen, np.flatnonzero(rest)

    def observations(self, places: Places, names: Sequence[str]) -> dict[str, Floats]:
        """Return the values of the trials in ``places`` that have all ``names``."""
        columns = [self._column(name)[places] for name in names]
        has_all = ~np.isnan(columns).any(axis=0)
        return {name: column[has_all] for name, column in zip(names, columns, strict=True)}

    def _take(self, number: int, trial: FrozenTrial, *, maximize: bool) -> bool:
        """Read a trial; return whether it has ended."""
        self.regular &= trial.number == number
        kind = RUNNING if trial.state == TrialState.RUNNING else UNKNOWN
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            kind, self._ranks[number] = _rank(trial, maximize=maximize)
            self._take_params(number, trial)
        if kind != self._kinds[number]:
            self._splits.clear()
        self._kinds[number] = kind
        return kind >= COMPLETE

    def _take_params(self, number: int, trial: FrozenTrial) -> None:
        for name, distribution in trial.distributions.items():
            self.regular &= self.has_choices(name, distribution)
            self._distributions.setdefault(name, distribution)
        self.note(trial, trial.params)
        names = frozenset(trial.distributions)
        first = self._first_with.get(names)
        if first is None or number < first.number:
            self._first_with[names] = trial
            self._groups = None

    def _column(self, name: str) -> Floats:
        if name not in self._columns:
            self._columns[name] = np.full(len(self._kinds), np.nan)
        return self._columns[name]

    def _grow(self, n_trials: int) -> None:
        """Make room for ``n_trials``."""
        old = len(self._kinds)
        if n_trials <= old:
            return
        more = max(2 * old, n_trials) - old
        self._kinds = np.pad(self._kinds, (0, more))
        self._ranks = np.pad(self._ranks, ((0, more), (0, 0)))
        for name, column in self._columns.items():
            self._columns[name] = np.pad(column, (0, more), constant_values=np.nan)


def _split_groups(groups: Sequence[Space], other: Mapping[str, BaseDistribution]) -> list[Space]:
    """Return ``groups`` so that ``other`` has all of each one, or none; its new names come last."""
    parts: list[Space] = []
    for group in groups:
        parts.append({name: group[name] for name in group if name in other})
        parts.append({name: group[name] for name in group if name not in other})
    known = {name for group in groups for name in group}
    parts.append({name: other[name] for name in other if name not in known})
    return [part for part in parts if part]


def _rank(trial: FrozenTrial, *, maximize: bool) -> tuple[int, tuple[float, float]]:
    """Return what a trial that ended is, and its place among those of its kind.

    As Optuna's TPE: complete ones by value, pruned ones by how far they came and their value there,
    infeasible ones by how far they exceed their limits.
    """
    sign = -1.0 if maximize else 1.0
    violation = sum(value for value in trial.constraints.values() if value > 0)
    if violation > 0:
        return INFEASIBLE, (violation, 0.0)
    if trial.state == TrialState.COMPLETE:
        return COMPLETE, (sign * float(trial.values[0]), 0.0)
    if not trial.intermediate_values:
        return PRUNED, (1.0, 0.0)
    last = max(trial.intermediate_values)
    value = trial.intermediate_values[last]
    return PRUNED, (-float(last), np.inf if np.isnan(value) else sign * value)
