"""Outputs of networks of every kind of task, made of the truth and noise; no training."""

from collections.abc import Callable

import numpy as np
import pytest

from hpo.ensemble.arrangement import Arrangement, Predictions
from hpo.ensemble.objective import Objective

KINDS = {
    "binary": ("accuracy", "maximize"),
    "multiclass": ("log_loss", "minimize"),
    "multilabel": ("f1", "maximize"),
    "regression": ("rmse", "minimize"),
    "several": ("mae", "minimize"),
    "forecasting": ("r2", "maximize"),
}
Simulate = Callable[..., tuple[Predictions, Objective]]


def _noisy(generator: np.random.Generator, truth: np.ndarray, n: int) -> np.ndarray:
    """Return outputs of ``n`` networks, the later ones noisier, ``(networks, *truth.shape)``."""
    noise = generator.normal(size=(n, *truth.shape))
    scale = (0.8 + 0.25 * np.arange(n)).reshape(n, *[1] * truth.ndim)
    return truth + scale * noise


@pytest.fixture(scope="session")
def simulate() -> Simulate:
    """Return a function from a kind of task to what networks predict of it, and its objective."""

    def make(
        kind: str, *, n_networks: int = 5, n_rows: int = 120, seed: int = 0, metric: str = ""
    ) -> tuple[Predictions, Objective]:
        generator = np.random.default_rng(seed)
        metric, direction = (metric or KINDS[kind][0]), KINDS[kind][1]
        if kind in ("binary", "multiclass"):
            n_classes = 2 if kind == "binary" else 4
            targets = generator.integers(0, n_classes, n_rows)
            scores = _noisy(generator, 1.5 * np.eye(n_classes)[targets], n_networks)
            raised = np.exp(scores)
            parts = raised / raised.sum(-1, keepdims=True)
        elif kind == "multilabel":
            targets = generator.integers(0, 2, (n_rows, 3))
            parts = 1 / (1 + np.exp(-_noisy(generator, 2.0 * targets - 1.0, n_networks)))
        else:
            shape = {"regression": (n_rows,), "several": (n_rows, 2), "forecasting": (n_rows, 3)}
            targets = (10 + 3 * generator.normal(size=shape[kind])).astype(np.float32)
            parts = _noisy(generator, targets, n_networks)
        units = np.arange(n_rows, dtype=np.int64)
        rows = Arrangement(units=units, kept_together="rows")
        if kind == "forecasting":
            rows = Arrangement(units=units, kept_together="time", gap=2)
        found = Predictions(parts=parts.astype(np.float32), targets=targets, arrangement=rows)
        of_task = "regression" if kind == "several" else kind
        objective = Objective(kind=of_task, metric=metric, direction=direction, numbers={})
        return found, objective

    return make
