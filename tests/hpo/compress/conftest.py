"""Tiny networks that were really trained, once for all tests of the folder."""

from pathlib import Path
from typing import Any

import pytest

from lightning_modules.config import RunConfig
from lightning_modules.train import train

DIGITS = {"source": "digits", "validation": 0.2, "test": 0.2}


def trained(folder: Path, **sections: Any) -> Path:
    """Train a network on digits for a few epochs; return the run's folder."""
    tiny: dict[str, Any] = {
        "task": {"kind": "multiclass"},
        "data": DIGITS,
        "optimizer": {"name": "adamw", "lr": 3e-3},
        "trainer": {"max_epochs": 4, "batch_size": 64, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(tiny | sections), folder)
    return folder


@pytest.fixture(scope="session")
def mlp_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a perceptron on digits."""
    model = {"family": "mlp", "n_layers": 2, "width": 96}
    return trained(tmp_path_factory.mktemp("mlp") / "run", model=model)


@pytest.fixture(scope="session")
def cnn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a convolutional network on digits."""
    model = {"family": "cnn", "layers": [16, 32], "head": "flat"}
    return trained(tmp_path_factory.mktemp("cnn") / "run", model=model)
