"""Choose networks one after the other, each as often as it helps (Caruana et al., 2004, ICML)."""

import numpy as np

from hpo.ensemble.objective import Objective
from hpo.ship.combined import Doubles, Floats
from lightning_modules.data.frames import Array

STEPS = 25
"""Members that are added, at most; a weight is a multiple of one over their number."""
PATIENCE = 5
"""Steps without a better ensemble after which nothing more is added."""
BAGS = 10
SHARE = 0.5
"""Of the networks that each bag draws."""
FEWEST = 3
"""Networks in a bag, if there are as many."""


def choose(parts: Floats, targets: Array, objective: Objective, *, seed: int) -> Doubles:
    """Return a weight for each network, ``(networks,)``, which sum to one.

    Ensembles are grown from bags, each a random half of the networks; the weights are the mean over
    the bags. It begins with the best ones, as many as are best together (sorted initialisation),
    and then adds that network, with replacement, that makes the mean best. What is best is said by
    the objective, and by the loss where that is equal. An ensemble that is worse than the best
    network is not returned: then that one has all the weight.

    Args:
        parts: outputs of the networks, ``(networks, rows, …)``.
        targets: what was right.
        objective: to be made best, on these rows.
        seed: of the bags.
    """
    alone = [objective.merit(one, targets) for one in parts]
    size = max(min(FEWEST, len(parts)), round(SHARE * len(parts)))
    generator = np.random.default_rng(seed)
    bags = [np.arange(len(parts))]
    if size < len(parts):
        bags = [generator.choice(len(parts), size, replace=False) for _ in range(BAGS)]
    weights = np.zeros(len(parts))
    for bag in bags:
        weights[bag] += _grown(parts[bag], targets, objective, [alone[i] for i in bag]) / len(bags)
    best = int(max(range(len(parts)), key=alone.__getitem__))
    together = np.tensordot(weights, parts, axes=1).astype(np.float32)
    if objective.merit(together, targets) >= alone[best]:
        return weights
    return np.asarray(np.eye(len(parts))[best])


def _grown(
    parts: Floats, targets: Array, objective: Objective, alone: list[tuple[float, float]]
) -> Doubles:
    """Return the weights of the best ensemble on the way."""
    counts = _started(parts, targets, objective, alone)
    total = np.tensordot(counts, parts, axes=1)
    best, found, since = objective.merit(_mean(total, counts), targets), counts, 0
    while counts.sum() < STEPS + len(parts) and since < PATIENCE:
        n = counts.sum() + 1
        merits = [objective.merit(((total + one) / n).astype(np.float32), targets) for one in parts]
        chosen = int(max(range(len(parts)), key=merits.__getitem__))
        counts = counts + np.eye(len(parts))[chosen]
        total = total + parts[chosen]
        since += 1
        if merits[chosen] > best:
            best, found, since = merits[chosen], counts, 0
    return np.asarray(found / found.sum())


def _started(
    parts: Floats, targets: Array, objective: Objective, alone: list[tuple[float, float]]
) -> Doubles:
    """Return one for each of the best networks, as many as are best together, else nothing."""
    order = sorted(range(len(parts)), key=alone.__getitem__, reverse=True)
    sums = np.cumsum(parts[order].astype(np.float64), axis=0)
    merits = [
        objective.merit((total / (n + 1)).astype(np.float32), targets)
        for n, total in enumerate(sums)
    ]
    n_best = int(max(range(len(parts)), key=merits.__getitem__)) + 1
    counts = np.zeros(len(parts))
    counts[order[:n_best]] = 1.0
    return counts


def _mean(total: Doubles, counts: Doubles) -> Floats:
    return np.asarray(total / counts.sum(), dtype=np.float32)
