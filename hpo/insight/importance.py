"""Importance: how much of the trials' order each parameter explains, beside a control without any.

The order of the trials (`hpo.insight.scores`) is regressed on all parameters at once, each by a
smooth curve or by its options (an additive model: Hastie & Tibshirani, 1986; with a ridge). A
parameter's importance is the share of the variance that is lost when it alone is left out. Columns
of one that exists in a branch only are zero elsewhere: that the branch differs is its parent's. The
control are shadows (`hpo.insight.shadows`) in the parameter's place. Intervals are those of a
bootstrap over the trials (Efron, 1979).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.insight.axes import Axis
from hpo.insight.scores import Curves, scores
from hpo.insight.shadows import GOOD_SHARE, MOST_GOOD, Floats, History, shadows
from hpo.records import TrialRecord

FEWEST = 12
"""Trials below which nothing is said."""
FEWEST_ACTIVE = 6
"""Trials that must have a parameter, with two values at least."""
SHADOWS = 200
RESAMPLES = 200
CAUGHT = 0.01
"""The share of shadows that may be above a parameter that stands out."""
KNOTS = 4
MOST_TRIALS = 600
"""Of more trials, the latest: a replay costs the square of it."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """One parameter: its share of the order of the trials, beside the control's."""

    name: str
    share: float | None
    """Of the variance of the trials' ranks; None where too few trials have the parameter."""
    low: float | None
    high: float | None
    """The 95 % interval of a bootstrap over trials."""
    null: float | None
    """What a parameter without effect reaches in 1 of 100 cases."""
    n: int
    """The trials that have it."""
    stands_out: bool


@dataclass(frozen=True, kw_only=True)
class Importances:
    """All parameters, the most important first."""

    found: tuple[Importance, ...]
    n_trials: int
    n_pruned: int
    """Of these, how many were pruned and took the place of their value at that validation."""
    explained: float | None
    """The share that all parameters explain together."""
    sentence: str

    @property
    def telling(self) -> list[str]:
        """The names of those that stand out."""
        return [one.name for one in self.found if one.stands_out]


def importances(
    records: Sequence[TrialRecord],
    axes: Sequence[Axis],
    curves: Curves,
    *,
    direction: str,
    learned_from: int | None = None,
) -> Importances:
    """Return how much each parameter matters.

    Args:
        records: trials that ended.
        axes: the searched parameters.
        curves: of their objectives.
        direction: of the objective.
        learned_from: the number of the first trial that a model proposed; None if none did.
    """
    told = scores(records, curves, direction)
    kept = [r for r in sorted(records, key=lambda r: r.number) if r.number in told][-MOST_TRIALS:]
    n_pruned = sum(record.state == "pruned" for record in kept)
    if len(kept) < FEWEST:
        none = tuple(_unknown(axis, kept) for axis in axes)
        what = f"Too few trials to say what matters: {len(kept)} that count, {FEWEST} are needed."
        return Importances(
            found=none, n_trials=len(kept), n_pruned=n_pruned, explained=None, sentence=what
        )
    heights = np.array([told[record.number] for record in kept])
    table = _Table(kept, axes, heights)
    seed = hashlib.sha256(repr([(r.number, r.config_sha256) for r in kept]).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8]))
    replay = _Replay(records, kept, axes, direction, learned_from)
    found = [_importance(table, axis, replay, rng) for axis in axes]
    spread = table.resampled(rng)
    done = [_with_interval(one, spread.get(one.name)) for one in found]
    done.sort(key=lambda one: (not one.stands_out, -(one.share or 0.0), one.name))
    return Importances(
        found=tuple(done),
        n_trials=len(kept),
        n_pruned=n_pruned,
        explained=table.explained(),
        sentence=_sentence(done, len(kept)),
    )


def _importance(
    table: "_Table", axis: Axis, replay: "_Replay", rng: np.random.Generator
) -> Importance:
    if axis.name not in table.groups:
        return _unknown(axis, table.records)
    share = table.share(axis.name)
    control = table.control(axis, replay.shadows(axis, rng))
    null = float(np.quantile(control, 1 - CAUGHT))
    return Importance(
        name=axis.name,
        share=share,
        low=None,
        high=None,
        null=null,
        n=int(table.active[axis.name].sum()),
        stands_out=share > null,
    )


def _unknown(axis: Axis, records: Sequence[TrialRecord]) -> Importance:
    n = sum(axis.name in record.params for record in records)
    return Importance(
        name=axis.name, share=None, low=None, high=None, null=None, n=n, stands_out=False
    )


def _with_interval(one: Importance, drawn: Floats | None) -> Importance:
    """Return the importance with its interval, the resamples centred on what was found.

    A resample holds rows twice, and so explains more than the trials do.
    """
    if one.share is None or drawn is None or not len(drawn):
        return one
    centred = np.asarray(drawn) - float(np.mean(drawn)) + one.share
    low, high = np.quantile(centred, [0.025, 0.975]).clip(0, 1)
    ends = {"low": float(min(low, one.share)), "high": float(max(high, one.share))}
    return Importance(**{**one.__dict__, **ends})


class _Table:
    """The trials as columns of a regression, grouped by parameter."""

    def __init__(
        self, records: Sequence[TrialRecord], axes: Sequence[Axis], heights: Floats
    ) -> None:
        self.records = records
        self.y = heights - heights.mean()
        self.active: dict[str, NDArray[np.bool_]] = {}
        self.groups: dict[str, slice] = {}
        blocks: list[Floats] = []
        width = 0
        for axis in axes:
            active = np.array([axis.name in record.params for record in records])
            values = _numbers(axis, records)
            if active.sum() < FEWEST_ACTIVE or len(np.unique(values[active])) < 2:
                continue
            block = _columns(values, active, levels=_levels(axis))
            self.active[axis.name] = active
            self.groups[axis.name] = slice(width, width + block.shape[1])
            blocks.append(block)
            width += block.shape[1]
        self.x = np.hstack(blocks) if blocks else np.empty((len(records), 0))
        self.ridge = _ridge(self.x, self.y)

    def share(self, name: str) -> float:
        """Return the share that is lost without a parameter."""
        columns = self.x[:, self.groups[name]]
        return float(self._lost(self._without(name), columns[None])[0])

    def control(self, axis: Axis, drawn: Floats) -> Floats:
        """Return the shares that shadows in a parameter's place would have."""
        active = self.active[axis.name]
        blocks = []
        for column in drawn.T:
            values = np.zeros(len(self.y))
            values[active] = column
            values = _like(axis, self.records, values)
            if len(np.unique(values[active])) > 1:
                blocks.append(_columns(values, active, levels=_levels(axis)))
        maker = self._without(axis.name)
        return np.array([float(self._lost(maker, block[None])[0]) for block in blocks] or [0.0])

    def explained(self) -> float | None:
        """Return the share that all parameters explain together, less what noise would."""
        if not self.x.shape[1]:
            return None
        inverse = np.linalg.inv(self.x.T @ self.x + self.ridge * np.eye(self.x.shape[1]))
        hat = self.x @ inverse @ self.x.T
        left = self.y - hat @ self.y
        spare = max(len(self.y) - 1 - float(np.trace(hat)), 1.0)
        unexplained = (left @ left / spare) / (self.y @ self.y / (len(self.y) - 1))
        return float(min(max(1 - unexplained, 0.0), 1.0))

    def resampled(self, rng: np.random.Generator) -> dict[str, Floats]:
        """Return every parameter's share in resamples of the trials."""
        found: dict[str, list[float]] = {name: [] for name in self.groups}
        n, width = self.x.shape
        for _ in range(RESAMPLES if width else 0):
            rows = rng.integers(n, size=n)
            x, y = self.x[rows], self.y[rows]
            x, y = x - x.mean(axis=0), y - y.mean()
            total = float(y @ y)
            if total <= 0:
                continue
            inverse = np.linalg.inv(x.T @ x + self.ridge * np.eye(width))
            weights = inverse @ (x.T @ y)
            for name, group in self.groups.items():
                own = weights[group]
                found[name].append(float(own @ np.linalg.solve(inverse[group, group], own)) / total)
        return {name: np.array(values) for name, values in found.items()}

    def _without(self, name: str) -> Floats:
        """Return what makes of columns what the other parameters leave of them."""
        keep = np.ones(self.x.shape[1], dtype=bool)
        keep[self.groups[name]] = False
        rest = self.x[:, keep]
        inverse = np.linalg.inv(rest.T @ rest + self.ridge * np.eye(rest.shape[1]))
        return np.asarray(np.eye(len(self.y)) - rest @ inverse @ rest.T)

    def _lost(self, maker: Floats, blocks: Floats) -> Floats:
        """Return the shares of blocks of columns, ``(blocks, trials, columns)``."""
        left = maker @ self.y
        crossed = blocks.transpose(0, 2, 1) @ left
        within = blocks.transpose(0, 2, 1) @ (maker @ blocks)
        within = within + self.ridge * np.eye(blocks.shape[2])
        solved = np.linalg.solve(within, crossed[..., None])[..., 0]
        return np.asarray((crossed * solved).sum(axis=1) / (self.y @ self.y))


def _columns(values: Floats, active: NDArray[np.bool_], *, levels: int) -> Floats:
    """Return one parameter as columns of mean 0 and variance 1; zero where it does not exist."""
    inside = values[active]
    known = np.unique(inside)
    if levels or len(known) <= KNOTS:
        block = (inside[:, None] == known[None, :-1]).astype(float)
    else:
        ranks = np.searchsorted(np.sort(inside), inside, side="left").astype(float)
        ranks += np.searchsorted(np.sort(inside), inside, side="right")
        place = ranks / len(inside) - 1
        block = np.polynomial.legendre.legvander(place, KNOTS - 1)[:, 1:]
    block = block - block.mean(axis=0)
    full = np.zeros((len(values), block.shape[1]))
    full[active] = block
    size = np.sqrt((full**2).mean(axis=0))
    return np.asarray(full / np.where(size > 0, size, 1.0))


def _ridge(x: Floats, y: Floats) -> float:
    """Return the penalty that predicts best (generalised cross-validation; Golub et al., 1979)."""
    if not x.shape[1]:
        return 1.0
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    along = left.T @ y
    best, chosen = float("inf"), 1.0
    for penalty in len(y) * np.array([0.01, 0.03, 0.1, 0.3, 1.0, 3.0]):
        kept = sizes**2 / (sizes**2 + penalty)
        error = float(y @ y - (2 * kept - kept**2) @ along**2)
        score = error / max(1.0 - (1 + kept.sum()) / len(y), 1e-3) ** 2
        if score < best:
            best, chosen = score, float(penalty)
    return chosen


class _Replay:
    """The history of the study, group by group of parameters that exist together."""

    def __init__(
        self,
        records: Sequence[TrialRecord],
        kept: Sequence[TrialRecord],
        axes: Sequence[Axis],
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
        points = np.array([[_number(a, self._all[i].params[a.name]) for a in group] for i in have])
        first = self._learned_from
        numbers = [self._all[i].number for i in have]
        learned = np.array([first is not None and number >= first for number in numbers])
        good, bad = [], []
        for i in have:
            mine = self._good[i]
            good.append(np.array([place[j] for j in mine if j in place], dtype=np.int64))
            rest = [place[j] for j in range(i) if j in place and j not in mine]
            bad.append(np.array(rest, dtype=np.int64))
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


def _levels(axis: Axis) -> int:
    return len(axis.options)


def _number(axis: Axis, value: object) -> float:
    if axis.is_number:
        return axis.unit(value)  # type: ignore[arg-type]
    return float(axis.level(value))  # type: ignore[arg-type]


def _numbers(axis: Axis, records: Sequence[TrialRecord]) -> Floats:
    return np.array(
        [_number(axis, r.params[axis.name]) if axis.name in r.params else 0.0 for r in records]
    )


def _like(axis: Axis, records: Sequence[TrialRecord], values: Floats) -> Floats:
    """Return a shadow's numbers in the steps of the parameter whose place it takes."""
    if not axis.is_number or not (axis.whole or axis.step):
        return values
    step = axis.step or 1.0
    low = axis.low or 0.0
    real = np.array([axis.value(float(unit)) for unit in values])
    stepped = low + step * np.round((real - low) / step)
    return np.array([axis.unit(float(one)) for one in stepped])


def _sentence(found: Sequence[Importance], n: int) -> str:
    telling = [one for one in found if one.stands_out]
    grey = [one for one in found if not one.stands_out and one.share is not None]
    few = [one for one in found if one.share is None]
    if telling:
        text = "What mattered: " + ", ".join(f"{o.name} ({o.share:.0%})" for o in telling[:4])
        text += f" and {len(telling) - 4} more" if len(telling) > 4 else ""
        rest = (
            f"; {len(grey)} others cannot be told from a parameter without effect" if grey else ""
        )
    else:
        text = "No parameter can be told from one without effect"
        rest = ""
    less = f" ({len(few)} were tried too rarely)" if few else ""
    return f"{text}{rest}{less}, in {n} trials."
