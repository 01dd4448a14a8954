"""A module of a user's that goes wrong in every way, and studies that search over its faults."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.spec import StudySpec, load_study
from lightning_modules import watch
from lightning_modules.plugins import load_plugin
from lightning_modules.result import RunResult
from lightning_modules.train import train
from tests.faults.runs import CONFIG

FAULTY = '''
import os, signal, sys, time
from pathlib import Path
import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn


class Stop(BaseException):
    pass


class Faulty(pl.LightningModule):
    """Goes wrong at its third step."""

    def __init__(self, fault: str = "none", marker: str = "", lr: float = 0.1):
        super().__init__()
        self.fault, self.marker, self.lr = fault, marker, lr
        self.net = nn.Linear(4, 3)

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        if self.global_step == 2 and self.fault != "none":
            loss = self.go_wrong(loss)
        return loss

    def go_wrong(self, loss):
        if self.fault == "killed once":
            if not Path(self.marker).exists():
                Path(self.marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "killed always":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif self.fault == "os exit":
            os._exit(7)
        elif self.fault == "sys exit":
            sys.exit(4)
        elif self.fault == "base exception":
            raise Stop("enough")
        elif self.fault == "exception":
            raise RuntimeError("the shapes do not fit")
        elif self.fault == "memory error":
            raise MemoryError("no room")
        elif self.fault == "cuda memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        elif self.fault == "hang":
            time.sleep(600)
        elif self.fault == "grow":
            self.held = np.ones(100_000_000)
            time.sleep(600)
        elif self.fault == "nan":
            return loss * float("nan")
        return loss

    def validation_step(self, batch, batch_idx):
        right = (self.net(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("val_acc", right)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory, module_registries: None) -> Path:
    """The file of the faulty module, loaded here and in every child."""
    path = tmp_path_factory.mktemp("plugin") / "faulty_module.py"
    path.write_text(FAULTY)
    load_plugin(str(path))
    return path


@pytest.fixture(scope="module")
def make_faulty(plugin: Path) -> Callable[..., StudySpec]:
    """Return a function that makes a study on iris whose module is Faulty."""

    def make(model: dict[str, object], **parts: object) -> StudySpec:
        return load_study(
            {
                "name": "faulty",
                "task": {"kind": "multiclass"},
                "data": {"source": "iris"},
                "model": {"family": "Faulty", **model},
                "trainer": {"max_epochs": 2, "batch_size": 16, "accelerator": "cpu"},
                "objective": {"metric": "val_acc", "direction": "maximize"},
                **parts,
            }
        )

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """The run that was never stopped; look, do not touch."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(CONFIG, folder)


@pytest.fixture
def saving_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SAVE_EVERY_S", 0.0)
