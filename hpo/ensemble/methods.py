"""Fit a combination of networks to rows, by each of the methods."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hpo.ensemble.greedy import choose
from hpo.ensemble.objective import Objective, right_probabilities, row_losses, scaled_errors
from hpo.ensemble.stacking import stack
from hpo.ship.combined import Combination, Doubles, Floats, Method
from lightning_modules.data.frames import Array
from lightning_modules.packaged.agreeing import LEAST
from lightning_modules.task import NUMBERS

ROUNDS = 500
"""Of expectation and maximisation, at most."""
STILL = 1e-9
"""A change of all weights below this ends them."""
REWEIGHTED = 50
"""Rounds of reweighted least squares for a pinball loss."""
NONE = 1e-3
"""A weight below this is none."""


def fit(
    method: Method, parts: Floats, targets: Array, objective: Objective, *, seed: int
) -> Combination:
    """Return how networks are combined, as it is best on these rows.

    Args:
        method: by which.
        parts: outputs of the networks, ``(networks, rows, …)``.
        targets: what was right.
        objective: what ``greedy`` makes best; the others take the loss that goes with it.
        seed: of what is drawn.
    """
    intercepts: list[float] | None = None
    match method:
        case "mean" | "vote":
            weights = np.full(len(parts), 1.0 / len(parts))
        case "greedy":
            weights = choose(parts, targets, objective, seed=seed)
        case "weighted":
            weights = weigh(parts, targets, objective)
        case "stack":
            weights, added = stack(parts.astype(np.float64), targets, objective.kind)
            intercepts = added.tolist()
    return Combination(
        method=method, kind=objective.kind, weights=weights.tolist(), intercepts=intercepts
    )


def weigh(parts: Floats, targets: Array, objective: Objective) -> Doubles:
    """Return the weights, at least 0 and summing to one, of the least loss on these rows."""
    doubles = parts.astype(np.float64)
    if objective.kind in NUMBERS:
        weights = _of_errors(scaled_errors(doubles, targets), objective.quantile)
    else:
        weights = _of_mixture(right_probabilities(doubles, targets, objective.kind))
    weights = np.where(weights < NONE, 0.0, weights)
    return np.asarray(weights / weights.sum())


def _of_mixture(right: Doubles) -> Doubles:
    """Return the weights under which what was right is most probable (EM of a mixture).

    Args:
        right: what each network gave to it, ``(networks, values)``.
    """
    right = np.maximum(right, LEAST)
    weights = np.full(len(right), 1.0 / len(right))
    for _ in range(ROUNDS):
        before = weights
        weights = weights * (right / (weights @ right)).mean(axis=1)
        if np.abs(weights - before).max() < STILL:
            break
    return weights


def _of_errors(errors: Doubles, quantile: float | None) -> Doubles:
    """Return the weights of the least loss of errors ``(networks, values)``, weighted together."""
    weights = _least_squares(errors @ errors.T)
    if quantile is None:
        return weights
    best = float(row_losses(weights @ errors, quantile).mean())
    found, smallest = weights, 1e-6 * max(float(np.abs(errors).max()), 1e-300)
    for _ in range(REWEIGHTED):
        together = weights @ errors
        side = np.where(together > 0, quantile, 1.0 - quantile)
        importance = side / np.maximum(np.abs(together), smallest)
        weights = _least_squares((errors * importance) @ errors.T)
        loss = float(row_losses(weights @ errors, quantile).mean())
        if loss < best:
            best, found = loss, weights
    return found


def _least_squares(gram: Doubles) -> Doubles:
    """Return the weights of the least ``w @ gram @ w``, at least 0 and summing to one.

    Both terms of ``|root w|² + (1 - sum w)²`` grow with the square of what they measure, so its
    least place without the sum held lies in the same direction, whatever the second term weighs.
    """
    from scipy.optimize import nnls

    n = len(gram)
    size = float(np.trace(gram)) / n
    if size <= 0:
        return np.full(n, 1.0 / n)
    values, vectors = np.linalg.eigh(gram / size)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    wanted: npt.NDArray[Any] = np.concatenate([np.zeros(n), [1.0]])
    weights = np.asarray(nnls(np.vstack([root, np.ones(n)]), wanted)[0], dtype=np.float64)
    return np.asarray(weights / weights.sum())
