"""Callbacks of installed packages: each Trainer has its own, and they are looked up once."""

import importlib.metadata
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
import pytorch_lightning as pl
from lightning_fabric.utilities import registry

from lightning_modules import factories
from lightning_modules.factories import factories_looked_up_once

GROUP = "pytorch_lightning.callbacks_factory"


class Brought(pl.Callback):
    """What a package brings."""


def bring() -> list[pl.Callback]:
    return [Brought()]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the metadata of installed packages, one of which brings a callback."""
    asked: list[Any] = []

    def look_up(**wanted: Any) -> EntryPoints:
        asked.append(wanted)
        return EntryPoints([EntryPoint("brought", f"{__name__}:bring", GROUP)])

    monkeypatch.setattr(registry, "entry_points", look_up)
    monkeypatch.setattr(factories, "_look_up", look_up)
    monkeypatch.setattr(factories, "_known", factories.cache(look_up))
    return asked


def trainer() -> pl.Trainer:
    return pl.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False)


def brought(made: pl.Trainer) -> list[pl.Callback]:
    return [one for one in made.callbacks if isinstance(one, Brought)]


def test_each_trainer_has_callbacks_of_its_own_and_the_packages_are_read_once(looks) -> None:
    with factories_looked_up_once():
        first = brought(trainer())
    with factories_looked_up_once():
        second = brought(trainer())
    assert len(first) == len(second) == 1
    assert first[0] is not second[0]
    assert looks == [{"group": GROUP}]  # two where Lightning looks in another way: see the module


def test_trainers_of_others_look_up_as_before(looks) -> None:
    with factories_looked_up_once():
        trainer()
    trainer()
    assert len(looks) == 2


def test_lightning_looks_there_where_we_expect_it_to() -> None:
    assert vars(registry)["entry_points"] is importlib.metadata.entry_points


def test_another_way_of_looking_up_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    other: Callable[..., EntryPoints] = lambda **_: EntryPoints([])  # noqa: E731
    monkeypatch.setattr(registry, "entry_points", other)
    with factories_looked_up_once():
        assert vars(registry)["entry_points"] is other
