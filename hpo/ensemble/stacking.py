"""Stack networks: a regularised regression on what they say (Wolpert, 1992)."""

from collections.abc import Callable

import numpy as np

from hpo.ship.combined import Doubles, evidence
from lightning_modules.data.frames import Array
from lightning_modules.task import NUMBERS

PRIOR = 10.0
"""How strongly coefficients are drawn to those of the plain mean, and intercepts to 0, beside the
sum over the rows: as if each were known to come from a normal distribution of sd 0.22."""
MOST_STEPS = 500
Loss = Callable[[Doubles], tuple[float, Doubles]]
"""From the coefficients and the intercepts behind them to the loss and its gradient."""


def stack(parts: Doubles, targets: Array, kind: str) -> tuple[Doubles, Doubles]:
    """Return a coefficient for each network, and an intercept for each class, label or target.

    One coefficient counts for all classes, labels or targets: validation rows are few.

    Args:
        parts: outputs of the networks, ``(networks, rows, …)``.
        targets: what was right.
        kind: of the task.
    """
    if kind in NUMBERS:
        return _ridge(parts, np.asarray(targets, dtype=np.float64))
    from scipy.optimize import minimize

    features = evidence(parts, kind)
    loss = (_labels if kind == "multilabel" else _classes)(features, targets)
    n, n_added = len(parts), parts.shape[-1]
    start = np.concatenate([np.full(n, 1.0 / n), np.zeros(n_added)])
    found = minimize(
        _with_prior(loss, n, parts.shape[1]),
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MOST_STEPS},
    )
    solved = np.asarray(found.x, dtype=np.float64)
    return solved[:n], solved[n:]


def _with_prior(loss: Loss, n_networks: int, n_rows: int) -> Loss:
    def penalised(point: Doubles) -> tuple[float, Doubles]:
        value, gradient = loss(point)
        off = point.copy()
        off[:n_networks] -= 1.0 / n_networks
        share = PRIOR / n_rows
        return value + share * float(off @ off), gradient + 2.0 * share * off

    return penalised


def _classes(features: Doubles, targets: Array) -> Loss:
    """Return the log loss of a softmax over ``(networks, rows, classes)``."""
    n, rows = len(features), np.arange(features.shape[1])

    def loss(point: Doubles) -> tuple[float, Doubles]:
        scores = np.tensordot(point[:n], features, axes=1) + point[n:]
        scores -= scores.max(axis=1, keepdims=True)
        raised = np.exp(scores)
        sums = raised.sum(axis=1)
        value = float((np.log(sums) - scores[rows, targets]).mean())
        off = raised / sums[:, None]
        off[rows, targets] -= 1.0
        off /= len(rows)
        return value, np.concatenate([np.tensordot(features, off, axes=2), off.sum(axis=0)])

    return loss


def _labels(features: Doubles, targets: Array) -> Loss:
    """Return the mean over labels of the log loss of a sigmoid of ``(networks, rows, labels)``."""
    n, truth = len(features), np.asarray(targets, dtype=np.float64)

    def loss(point: Doubles) -> tuple[float, Doubles]:
        scores = np.tensordot(point[:n], features, axes=1) + point[n:]
        value = float((np.logaddexp(0.0, scores) - truth * scores).mean())
        off = (np.exp(-np.logaddexp(0.0, -scores)) - truth) / truth.size
        return value, np.concatenate([np.tensordot(features, off, axes=2), off.sum(axis=0)])

    return loss


def _ridge(parts: Doubles, targets: Doubles) -> tuple[Doubles, Doubles]:
    """Return the coefficients of the least squares, each target in its standard deviations."""
    n = len(parts)
    spread = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    mean, centre = targets.mean(axis=0), parts.mean(axis=1)
    x = ((parts - centre[:, None]) / spread).reshape(n, -1)
    y = ((targets - mean) / spread).reshape(-1)
    equal = np.full(n, 1.0 / n)
    gram = x @ x.T + PRIOR * np.eye(n)
    coefficients = equal + np.linalg.solve(gram, x @ (y - equal @ x))
    return coefficients, np.atleast_1d(mean - np.tensordot(coefficients, centre, axes=1))
