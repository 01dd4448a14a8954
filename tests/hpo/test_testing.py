from pathlib import Path

import pytest

from hpo.errors import StudyError
from hpo.testing import smoke_study  # noqa: F401  (a fixture)
from lightning_modules.errors import PluginError

MODULE = """
import pytorch_lightning as pl
import torch
class Line(pl.LightningModule):
    def __init__(self, lr: float = 0.1, explode: bool = False):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 3)
    def training_step(self, batch, _):
        if self.hparams.explode:
            raise ArithmeticError("as asked")
        x, y = batch
        return torch.nn.functional.cross_entropy(self.layer(x), y)
    def validation_step(self, batch, _):
        x, y = batch
        self.log("val_acc", (self.layer(x).argmax(1) == y).float().mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
"""
STUDY = {
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "Line", "lr": {"low": 0.01, "high": 1.0, "log": True}},
    "objective": {"metric": "val_acc", "direction": "maximize"},
}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "line.py"
    path.write_text(MODULE)
    return path


def test_a_shipped_study_is_run_in_seconds(smoke_study, tmp_path: Path) -> None:  # noqa: F811
    best = smoke_study("smoke")
    assert sum(best.study["trials"].values()) == 2
    assert best.config["trainer"]["max_epochs"] == 1
    assert (tmp_path / "results" / "smoke" / "best_config.json").is_file()


def test_a_file_and_overrides_can_be_given(smoke_study, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "mine.yaml"
    file.write_text("data: {source: iris}\ntask: {kind: multiclass}\nmodel: {family: mlp}\n")
    best = smoke_study(file, "model.width={low: 4, high: 8}", trials=1, epochs=2)
    assert (best.study["name"], best.config["trainer"]["max_epochs"]) == ("smoke", 2)


def test_a_plugin_is_tested(smoke_study, plugin: Path, registries) -> None:  # noqa: F811
    best = smoke_study(STUDY, plugin=plugin)
    assert best.config["model"]["family"] == "Line"
    assert 0.0 <= best.metric["value"] <= 1.0


def test_a_plugin_that_is_not_there_is_said(smoke_study) -> None:  # noqa: F811
    with pytest.raises(PluginError, match=r"nowhere.py: no such plugin file"):
        smoke_study("smoke", plugin="nowhere.py")


def test_a_study_in_which_all_fails_is_an_error(smoke_study) -> None:  # noqa: F811
    with pytest.raises(StudyError, match=r"no trial is complete|all failed"):
        smoke_study("smoke", "optimizer.lr={choices: [1e30, 1e31]}")
