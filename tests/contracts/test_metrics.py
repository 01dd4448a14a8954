"""What every metric keeps to, for every task it serves: one registered tomorrow is covered too."""

import math
from pathlib import Path

import pytest
import torch

from lightning_modules.config import RunConfig
from lightning_modules.evaluation.examine import examine
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS
from lightning_modules.train import train

CASES = [(name, kind) for name, metric in METRICS.items() for kind in metric.kinds]
SOURCES = {"binary": "breast_cancer", "multiclass": "iris", "regression": "diabetes"}
each_case = pytest.mark.parametrize(("name", "kind"), CASES)


@each_case
def test_every_metric_may_be_the_objective_of_a_training(
    tmp_path: Path, name: str, kind: str
) -> None:
    config = RunConfig.model_validate(
        {
            "task": {"kind": kind},
            "data": {"source": SOURCES[kind]},
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
    n_classes = {"binary": 2, "multiclass": 3, "regression": 1}[kind]
    outputs = torch.randn(200, n_classes, generator=generator).softmax(1)
    targets = torch.arange(200) % n_classes
    if kind == "regression":
        outputs, targets = 5 + torch.randn(2, 200, generator=generator)
    value = compute(METRICS[name], outputs, targets)
    found = examine(kind, outputs, targets, metrics={name: value}, classes=None, seed=0)
    ends = found.ci95[name]
    assert ends is not None
    assert ends[0] < value < ends[1]
