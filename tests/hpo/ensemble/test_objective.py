"""The quick ways in which outputs are measured agree with the metrics themselves."""

import numpy as np
import pytest

from hpo.ensemble.objective import Objective, areas
from lightning_modules.task import METRICS


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_areas_from_ranks_are_those_of_the_metric(simulate, kind: str) -> None:
    found, _ = simulate(kind)
    objective = Objective(kind=kind, metric="roc_auc", direction="maximize", numbers={})
    for outputs in (found.parts[0], found.parts[1].round(1)):  # the second with equal scores
        assert areas(outputs, found.targets) == pytest.approx(
            objective.value(outputs, found.targets), abs=1e-6
        )


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression", "several"])
def test_every_metric_of_a_kind_judges_weighted_rows_as_it_judges_rows(simulate, kind: str) -> None:
    found, made = simulate(kind, n_rows=60)
    rows = np.random.default_rng(0).integers(0, 60, 60)
    weights = np.bincount(rows, minlength=60).astype(np.float64)
    for name, metric in METRICS.items():
        if made.kind not in metric.kinds or not isinstance(metric.compute, str):
            continue
        numbers = {"quantile": 0.3}
        objective = Objective(
            kind=made.kind, metric=name, direction=metric.direction, numbers=numbers
        )
        expected = objective.value(found.parts[0][rows], found.targets[rows])
        for even in (True, False):
            measured = objective.of_weights(found.parts[0], found.targets, even=even)(weights)
            assert measured == pytest.approx(expected, rel=1e-4, abs=1e-6), name
        assert np.isfinite(objective.merit(found.parts[0], found.targets)).all()
