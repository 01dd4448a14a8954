"""The log density of a Parzen estimator at many points: Optuna's, up to rounding, and faster.

Optuna adds up every kernel of every parameter at every point with Python's own functions of the
normal distribution. Here the kernels of continuous parameters are one product of matrices, and
those of whole numbers are looked up in a table of the few that differ.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEAR_EDGE = 1e-9
"""Points so near an end of their range may lie outside for Optuna: its densities are asked."""


def log_density(mixture: Any, points: Floats) -> Floats | None:
    """Return the log density of Optuna's mixture of products at ``points``, to 1e-7 or better.

    Args:
        mixture: weights (K), and for each parameter the kernels, of Optuna's classes.
        points: (N, parameters).

    Returns:
        None where these formulas would not hold; Optuna's do.
    """
    n_kernels = len(mixture.weights)
    total = np.log(mixture.weights) + np.zeros((len(points), 1))
    left: list[Floats] = []
    right: list[Floats] = []
    for place, kernels in enumerate(mixture.distributions):
        x = points[:, place]
        if not hasattr(kernels, "mu"):
            total += np.log(kernels.weights).T[x.astype(np.intp)]
        elif kernels.step:
            total += _discrete(kernels, x)
        else:
            factors = _continuous(kernels, x)
            if factors is None:
                return None
            left += [x_power for x_power in factors[0]]
            right += [factor for factor in factors[1]]
    if left:
        total += np.stack(left, axis=1) @ np.stack(right).reshape(len(left), n_kernels)
    highest = total.max(axis=1)
    if not np.isfinite(highest).all():
        return None
    return np.asarray(np.log(np.exp(total - highest[:, None]).sum(axis=1)) + highest)


def _continuous(kernels: Any, x: Floats) -> tuple[list[Floats], list[Floats]] | None:
    """Return factors, by point and by kernel, that add up to the log of truncated normals."""
    from scipy.special import ndtr  # late: it takes a moment to load

    low, high = kernels.adapted_low, kernels.adapted_high
    if kernels.is_log:
        x = np.log(x)
    edge = NEAR_EDGE * (high - low)
    inside = (x > low + edge).all() and (x < high - edge).all()
    if not inside or (kernels.mu < low).any() or (kernels.mu > high).any():
        return None
    centre, width = (low + high) / 2, high - low
    x, mu, sigma = (x - centre) / width, (kernels.mu - centre) / width, kernels.sigma / width
    mass = ndtr((0.5 - mu) / sigma) - ndtr((-0.5 - mu) / sigma)
    precision = 1 / sigma**2
    rest = -0.5 * mu**2 * precision - np.log(mass * kernels.sigma * np.sqrt(2 * np.pi))
    return [x**2, x, np.ones_like(x)], [-0.5 * precision, mu * precision, rest]


def _discrete(kernels: Any, x: Floats) -> Floats:
    """Return the log of what each truncated normal gives to the step around each point."""
    x, row = np.unique(x, return_inverse=True)
    mu, sigma, column = _distinct(kernels.mu, kernels.sigma)
    ends = np.stack([x - kernels.step / 2, x + kernels.step / 2])
    if kernels.is_log:
        ends = np.log(ends)
    lower, upper = (ends[:, :, None] - mu) / sigma
    low, high = kernels.adapted_low, kernels.adapted_high
    table = _log_mass(lower, upper) - _log_mass((low - mu) / sigma, (high - mu) / sigma)
    return np.asarray(table[row][:, column])


def _distinct(mu: Floats, sigma: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return the pairs that differ, and which of them each pair is."""
    order = np.lexsort((sigma, mu))
    mu, sigma = mu[order], sigma[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (mu[1:] != mu[:-1]) | (sigma[1:] != sigma[:-1])
    which = np.empty(len(order), dtype=np.intp)
    which[order] = np.cumsum(new) - 1
    return mu[new], sigma[new], which


def _log_mass(lower: Floats, upper: Floats) -> Floats:
    """Return the log of the standard normal's mass between two numbers; tails keep their digits."""
    from scipy.special import log_ndtr

    flip = lower > 0
    lower, upper = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    top = log_ndtr(upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(top + np.log1p(-np.exp(log_ndtr(lower) - top)))
