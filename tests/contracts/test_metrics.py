"""What every metric keeps to, for every task it serves: one registered tomorrow is covered too."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.config import RunConfig
from lightning_modules.evaluation.examine import examine
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS, NUMBERS
from lightning_modules.train import train

CASES = [(name, kind) for name, metric in METRICS.items() for kind in metric.kinds]
SOURCES = {
    "binary": {"source": "breast_cancer"},
    "multiclass": {"source": "iris"},
    "multilabel": {"source": "multilabel_points", "n_rows": 90},
    "regression": {"source": "diabetes"},
    "forecasting": {"source": "seasonal", "n_rows": 120},
}
each_case = pytest.mark.parametrize(("name", "kind"), CASES)


def loss_for(metric: str) -> dict[str, Any]:
    """Return the loss of which a metric takes its numbers; nothing for the others."""
    return {"loss": {"name": METRICS[metric].takes[0]}} if METRICS[metric].takes else {}


@each_case
def test_every_metric_may_be_the_objective_of_a_training(
    tmp_path: Path, name: str, kind: str
) -> None:
    ahead = {"window": 6, "horizon": 3} if kind == "forecasting" else {}
    config = RunConfig.model_validate(
        {
            "task": {"kind": kind, **ahead, **loss_for(name)},
            "data": SOURCES[kind],
            "model": {"family": "mlp", "n_layers": 1, "width": 4},
            "trainer": {"max_epochs": 1, "batch_size": 64, "accelerator": "cpu"},
            "objective": {"metric": name},
        }
    )
    assert config.objective.direction == METRICS[name].direction
    result = train(config, tmp_path)
    assert math.isfinite(result.value)
    assert result.metrics[f"val/{name}"] == result.value


@each_case
def test_every_metric_has_an_interval_that_holds_it(name: str, kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    n_classes = {"binary": 2}.get(kind, 3)
    outputs = torch.randn(200, n_classes, generator=generator).softmax(1)
    targets = torch.arange(200) % n_classes
    numbers = {"quantile": 0.3}
    if kind in NUMBERS:
        shape = (200, 3) if kind == "forecasting" else (200,)
        outputs, targets = 5 + torch.randn(2, *shape, generator=generator)
    if kind == "multilabel":
        outputs, targets = torch.rand(200, 3, generator=generator), outputs.round().long()
        outputs = 0.7 * outputs + 0.3 * targets
    value = compute(METRICS[name], outputs, targets, numbers)
    found = examine(
        kind, outputs, targets, metrics={name: value}, classes=None, seed=0, numbers=numbers
    )
    ends = found.ci95[name]
    assert ends is not None
    assert ends[0] < value < ends[1]
