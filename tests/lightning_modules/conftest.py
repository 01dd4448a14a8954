"""Small configs, and registries that forget what a test registered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import settings

from lightning_modules.checkpoint import PlainCheckpointIO
from lightning_modules.config import RunConfig

# The same examples each time, however busy the machine is.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

MakeConfig = Callable[..., RunConfig]
MakeTrainer = Callable[[], tuple[pl.Trainer, torch.nn.Linear]]


@pytest.fixture
def make_config() -> MakeConfig:
    """Return a function from sections to a config: a tiny mlp on iris unless they say otherwise."""

    def make(**sections: Any) -> RunConfig:
        tiny = {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": 8},
            "trainer": {"max_epochs": 2, "batch_size": 16, "accelerator": "cpu"},
        }
        given = {name: value for name, value in (tiny | sections).items() if value is not None}
        trainer = given.get("trainer")
        if isinstance(trainer, dict):
            given["trainer"] = {"accelerator": "cpu", **trainer}
        return RunConfig.model_validate(given)

    return make


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    """Return a maker of a trainer and the layer of its module."""

    def make() -> tuple[pl.Trainer, torch.nn.Linear]:
        trainer = pl.Trainer(
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            default_root_dir=tmp_path,
            plugins=[PlainCheckpointIO()],
        )
        module = pl.LightningModule()
        module.linear = torch.nn.Linear(2, 2)
        trainer.strategy.connect(module)
        return trainer, module.linear

    return make


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same global generator."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(0)
