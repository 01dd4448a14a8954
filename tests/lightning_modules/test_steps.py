import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop

from lightning_modules import steps
from lightning_modules.build import build_module, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.module import SupervisedModule
from lightning_modules.result import Command, Validation
from lightning_modules.running import newest_sound
from lightning_modules.steps import LeanSteps, use_lean_steps
from lightning_modules.train import make_trainer, train
from lightning_modules.watch import Abandoned
from tests.lightning_modules.test_train import LOUD, curve

training = importlib.import_module("lightning_modules.train")
MakeConfig = Callable[..., RunConfig]
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "schedule": {"schedule": {"name": "one_cycle"}},
    "plateau": {"schedule": {"name": "plateau", "patience": 1}},
    "clipped": {"trainer": {"gradient_clip": 0.1}},
    "accumulated": {"trainer": {"accumulate": 4, "gradient_clip": 1.0}},
    "averaged": {"trainer": {"averaging": {"name": "ema", "decay": 0.9}}},
    "often validated": {"trainer": {"validate_every": 0.5}},
    "seldom validated": {"trainer": {"validate_every": 2, "max_epochs": 4}},
    "stopped early": {"trainer": {"max_epochs": 8, "early_stopping": {"patience": 1}}},
    "half precision": {"trainer": {"precision": "bf16-mixed"}},
    "muon": {"optimizer": {"name": "muon", "lr": 0.01}},
}


@pytest.fixture
def lightnings_own(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets Lightning's own loop train from then on."""

    def choose() -> None:
        monkeypatch.setattr(training, "use_lean_steps", lambda *_: False)

    return choose


def same(one: Any, other: Any) -> bool:
    """Return whether two parts of checkpoints are equal, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_lean_steps_train_to_the_bits_of_lightnings_own(
    settings: dict[str, Any],
    make_config: MakeConfig,
    tmp_path: Path,
    lightnings_own: Callable[[], None],
) -> None:
    config = make_config(model=LOUD, **settings)
    train(config, tmp_path / "lean")
    lightnings_own()
    train(config, tmp_path / "own")
    assert curve(tmp_path / "lean") == curve(tmp_path / "own")
    lean, own = (load_checkpoint(tmp_path / name / "best.ckpt") for name in ("lean", "own"))
    assert same(lean, own)


class Leaving:
    """A listener that leaves the run after so many batches."""

    def __init__(self, after: int) -> None:
        self._left = after

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        self._left -= 1
        return Command.CONTINUE if self._left else Command.ABANDON


@pytest.mark.parametrize("settings", [SETTINGS["accumulated"], SETTINGS["schedule"]])
def test_a_run_that_is_left_keeps_the_same_checkpoint(
    settings: dict[str, Any],
    make_config: MakeConfig,
    tmp_path: Path,
    lightnings_own: Callable[[], None],
) -> None:
    config = make_config(model=LOUD, **settings)
    kept = {}
    for name in ("lean", "own"):
        with pytest.raises(Abandoned):
            train(config, tmp_path / name, report=Leaving(8))
        path = newest_sound(tmp_path / name)
        assert path is not None
        kept[name] = load_checkpoint(path)
        lightnings_own()
    for one in kept.values():  # what is timed, and the weights of the best as bytes
        watch = one["callbacks"].pop("Watch")
        one["validations"] = [{**v, "seconds": 0, "pace": 0} for v in watch["validations"]]
        one["loss"] = watch["loss_sum"], watch["loss_count"]
    assert same(kept["lean"], kept["own"])


def test_a_run_goes_on_by_the_other_loop_to_the_same_bits(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(model=LOUD, schedule={"name": "cosine"})
    train(config, tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(training, "use_lean_steps", lambda *_: False)
        with pytest.raises(Abandoned):
            train(config, tmp_path / "parts", report=Leaving(3))
    train(config, tmp_path / "parts")
    assert curve(tmp_path / "whole") == curve(tmp_path / "parts")
    whole, parts = (load_checkpoint(tmp_path / name / "best.ckpt") for name in ("whole", "parts"))
    assert same(whole["state_dict"], parts["state_dict"])


def test_a_logger_hears_the_same(
    make_config: MakeConfig, tmp_path: Path, lightnings_own: Callable[[], None]
) -> None:
    config = make_config(model=LOUD)
    told = []
    for name in ("lean", "own"):
        logger = CSVLogger(tmp_path / "logs", name=name, version=0)
        kept: list[Logger] = [logger]
        train(config, tmp_path / name, loggers=partial(_given, kept))
        logger.save()
        lines = (tmp_path / "logs" / name / "version_0" / "metrics.csv").read_text().splitlines()
        names = lines[0].split(",")
        timed = [i for i, column in enumerate(names) if "second" in column]
        told.append(
            [[cell for i, cell in enumerate(line.split(",")) if i not in timed] for line in lines]
        )
        lightnings_own()
    assert told[0] == told[1]


def _given(loggers: list[Logger], folder: Path) -> list[Logger]:
    return loggers


class Derived(SupervisedModule):
    """A module of somebody else's that is like ours."""


class Noticing(pl.Callback):
    """A callback of somebody else's, with a hook of a step."""

    def on_train_batch_end(self, *_: Any) -> None: ...


def test_what_lean_steps_would_leave_out_is_trained_by_lightnings_own(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config()
    module = build_module(config, open_data(config))
    assert isinstance(module, SupervisedModule)
    plain = make_trainer(config, tmp_path, callbacks=[])
    assert use_lean_steps(plain, module)
    assert isinstance(plain.fit_loop.epoch_loop, LeanSteps)
    derived = Derived(config, module.facts)
    for trainer, trained in (
        (make_trainer(config, tmp_path, callbacks=[Noticing()]), module),
        (make_trainer(config, tmp_path, callbacks=[]), derived),
        (make_trainer(config, tmp_path, callbacks=[]), pl.LightningModule()),
    ):
        assert not use_lean_steps(trainer, trained)
        assert type(trainer.fit_loop.epoch_loop) is _TrainingEpochLoop


def test_a_lightning_that_is_not_known_keeps_its_own_steps(
    make_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = make_config()
    module = build_module(config, open_data(config))
    monkeypatch.setattr(steps, "LIGHTNING", "2.7.0")
    assert not use_lean_steps(make_trainer(config, tmp_path, callbacks=[]), module)
    assert "Lightning 2.7.0 is not known here" in caplog.text
