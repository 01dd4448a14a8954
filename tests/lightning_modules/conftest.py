"""Small configs, and registries that forget what a test registered."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings

from lightning_modules import plugins
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SOURCES
from lightning_modules.families import FAMILIES
from lightning_modules.task import METRICS

# The same examples each time, however busy the machine is.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

MakeConfig = Callable[..., RunConfig]


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
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a test register what it wants; nothing of it outlives the test."""
    for registry in (FAMILIES, SOURCES, METRICS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(plugins, "_loaded", dict(plugins._loaded))
    monkeypatch.setattr(plugins, "_registered_classes", list(plugins._registered_classes))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("hpo_plugin_"):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same global generator."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(0)
