"""The regression of the trials' order on their parameters, a group of columns for each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.insight.axes import Axis
from hpo.records import TrialRecord

Floats = NDArray[np.float64]

FEWEST_ACTIVE = 6
"""Trials that must have a parameter, with two values at least."""
RESAMPLES = 200
KNOTS = 4


class Table:
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
            block = _columns(values, active, levels=len(axis.options))
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
            values = _like(axis, values)
            if len(np.unique(values[active])) > 1:
                blocks.append(_columns(values, active, levels=len(axis.options)))
        if not blocks:
            return np.zeros(1)
        maker = self._without(axis.name)
        widths = {block.shape[1] for block in blocks}
        alike = [np.stack([b for b in blocks if b.shape[1] == width]) for width in widths]
        return np.concatenate([self._lost(maker, some) for some in alike])

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
        n_blocks, trials, width = blocks.shape
        flat = blocks.transpose(1, 0, 2).reshape(trials, n_blocks * width)
        made = (maker @ flat).reshape(trials, n_blocks, width).transpose(1, 0, 2)
        crossed = blocks.transpose(0, 2, 1) @ left
        within = blocks.transpose(0, 2, 1) @ made
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


def _numbers(axis: Axis, records: Sequence[TrialRecord]) -> Floats:
    return np.array(
        [axis.place(r.params[axis.name]) if axis.name in r.params else 0.0 for r in records]
    )


def _like(axis: Axis, values: Floats) -> Floats:
    """Return a shadow's numbers in the steps of the parameter whose place it takes."""
    if axis.low is None or axis.high is None or not (axis.whole or axis.step):
        return values
    step, ends = axis.step or 1.0, np.array([axis.low, axis.high])
    low, high = np.log(ends) if axis.log else ends
    real = low + values * (high - low)
    real = np.exp(real) if axis.log else real
    stepped = axis.low + step * np.round((real - axis.low) / step)
    stepped = np.log(stepped) if axis.log else stepped
    return np.asarray((stepped - low) / ((high - low) or 1.0))
