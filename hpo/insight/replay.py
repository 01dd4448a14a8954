"""The history of a study as its sampler saw it, replayed for shadows."""

from collections.abc import Sequence

import numpy as np

from hpo.insight.axes import Axis
from hpo.insight.shadows import GOOD_SHARE, MOST_BAD, MOST_GOOD, Floats, History, shadows
from hpo.records import TrialRecord

SHADOWS = 200


class Replay:
    """The history of the study, group by group of parameters that exist together."""

    def __init__(
        self,
        records: Sequence[TrialRecord],
        kept: Sequence[TrialRecord],
        axes: Sequence[Axis],
        *,
        direction: str,
        learned_from: int | None,
    ) -> None:
        self._all = sorted(records, key=lambda record: record.number)
        self._kept = [record.number for record in kept]
        self._axes = axes
        self._learned_from = learned_from
        self._good = _good_before(self._all, direction)
        self._made: dict[tuple[tuple[int, ...], int], Floats] = {}

    def shadows(self, axis: Axis, rng: np.random.Generator) -> Floats:
        """Return shadows of an axis in the kept trials that have it, ``(trials, shadows)``."""
        have = [i for i, record in enumerate(self._all) if axis.name in record.params]
        levels = len(axis.options)
        key = (tuple(have), levels)
        if key not in self._made:
            self._made[key] = shadows(self._history(have), levels=levels, n=SHADOWS, rng=rng)
        kept = set(self._kept)
        rows = [k for k, i in enumerate(have) if self._all[i].number in kept]
        return self._made[key][rows]

    def _history(self, have: list[int]) -> History:
        group = [
            axis
            for axis in self._axes
            if have == [i for i, r in enumerate(self._all) if axis.name in r.params]
        ]
        place = {i: k for k, i in enumerate(have)}
        points = np.array([[a.place(self._all[i].params[a.name]) for a in group] for i in have])
        first = self._learned_from
        numbers = [self._all[i].number for i in have]
        learned = np.array([first is not None and number >= first for number in numbers])
        good, bad = [], []
        for i in have:
            mine = self._good[i]
            good.append(np.array([place[j] for j in mine if j in place], dtype=np.int64))
            rest = [k for k in range(place[i]) if have[k] not in mine]
            bad.append(np.array(rest[-MOST_BAD:], dtype=np.int64))
        levels = tuple(len(axis.options) for axis in group)
        return History(
            points=points, levels=levels, learned=learned, good=tuple(good), bad=tuple(bad)
        )


def _good_before(records: Sequence[TrialRecord], direction: str) -> list[set[int]]:
    """Return before each trial the indices of those that a Parzen sampler holds for good."""
    sign = -1.0 if direction == "maximize" else 1.0

    def key(index: int) -> tuple[float, ...]:
        record = records[index]
        value = 0.0 if record.value is None else sign * record.value
        if record.state == "complete":
            return (0.0, value)
        reached = record.run.validations if record.run else 0
        return (1.0, -reached, value) if record.state == "pruned" else (2.0, record.violation)

    order: list[tuple[tuple[float, ...], int]] = []
    found: list[set[int]] = []
    for index in range(len(records)):
        count = min(int(np.ceil(GOOD_SHARE * index)), MOST_GOOD)
        found.append({i for _, i in sorted(order)[:count]})
        order.append((key(index), index))
    return found
