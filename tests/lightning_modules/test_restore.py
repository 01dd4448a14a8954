import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules import plugins
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.errors import UsageError
from lightning_modules.restore import outputs_of, restore, restore_folder, score
from lightning_modules.result import RunResult
from lightning_modules.train import train

MakeConfig = Callable[..., RunConfig]


class Whole(pl.LightningModule):
    """A module with its own training step; the batches are those of iris."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, Path, RunResult]:
    """Return config, folder and result of a tiny run on iris."""
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass", "class_weights": "balanced"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch"},
            "trainer": {"max_epochs": 3, "batch_size": 16, "accelerator": "cpu"},
        }
    )
    folder = tmp_path_factory.mktemp("run")
    return config, folder, train(config, folder)


@pytest.fixture
def whole(registries: None) -> dict[str, Any]:
    """Return the sections of a config whose model is `Whole`."""
    plugins.lightning_module("whole")(Whole)
    return {
        "model": {"family": "whole"},
        "objective": {"metric": "val_loss", "direction": "minimize"},
    }


def test_the_checkpoint_scores_what_the_run_reported(
    run: tuple[RunConfig, Path, RunResult],
) -> None:
    config, folder, result = run
    scores = score(config, folder / "best.ckpt", split="validation").metrics
    assert scores["accuracy"] == result.value
    assert scores["loss"] == pytest.approx(result.metrics["val/loss"], abs=1e-6)
    assert set(scores) >= {"balanced_accuracy", "log_loss", "roc_auc", "f1"}


def test_the_test_split_is_another_one(run: tuple[RunConfig, Path, RunResult]) -> None:
    config, folder, _ = run
    test, validation = (
        score(config, folder / "best.ckpt", split=split).metrics for split in ("test", "validation")
    )
    assert set(test) == set(validation)
    assert test["loss"] != validation["loss"]


def test_scoring_puts_the_number_of_threads_back(
    run: tuple[RunConfig, Path, RunResult],
) -> None:
    config, folder, _ = run
    before = torch.get_num_threads()
    score(config, folder / "best.ckpt", split="validation")
    assert torch.get_num_threads() == before


def test_a_folder_alone_brings_the_same_module_back(
    run: tuple[RunConfig, Path, RunResult],
) -> None:
    config, folder, _ = run
    data = open_data(config)
    assert data.prepared is not None
    module = restore(config, folder / "best.ckpt", data)
    read, fitted, again = restore_folder(folder)
    assert read == config
    assert fitted == data.prepared.fitted
    assert not again.training
    x = data.prepared.validation.x
    with torch.inference_mode():
        torch.testing.assert_close(again(x), module(x), rtol=0, atol=0)


def test_outputs_do_not_depend_on_the_size_of_the_batches(
    run: tuple[RunConfig, Path, RunResult],
) -> None:
    _, folder, _ = run
    _, _, module = restore_folder(folder)
    x = torch.randn(11, 4, generator=torch.Generator().manual_seed(0))
    whole, parts = outputs_of(module, x), outputs_of(module, x, batch_size=3)
    assert whole.shape == (11, 3)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(whole.sum(1), torch.ones(11))


def test_outputs_of_a_regression_are_in_the_units_of_the_target(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(task={"kind": "regression"}, data={"source": "diabetes"})
    train(config, tmp_path)
    _, fitted, module = restore_folder(tmp_path)
    x = torch.zeros(5, *fitted.input_shape)
    outputs = outputs_of(module, x)
    assert outputs.shape == (5,)
    assert float(outputs.mean()) == pytest.approx(152, abs=80)


def test_weights_of_another_network_are_refused(
    run: tuple[RunConfig, Path, RunResult], make_config: MakeConfig
) -> None:
    _, folder, _ = run
    other = make_config(model={"family": "mlp", "n_layers": 1, "width": 9, "norm": "batch"})
    with pytest.raises(UsageError, match=r"best.ckpt: does not fit the config \(.*\); name the ch"):
        restore(other, folder / "best.ckpt", open_data(other))


def test_a_missing_or_damaged_checkpoint_is_refused(
    run: tuple[RunConfig, Path, RunResult], tmp_path: Path
) -> None:
    config, folder, _ = run
    for name in ("config.json", "preparation.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(UsageError, match="no such checkpoint"):
        restore_folder(tmp_path)
    (tmp_path / "best.ckpt").write_bytes(b"damaged")
    with pytest.raises(UsageError, match="cannot be read safely"):
        score(config, tmp_path / "best.ckpt", split="validation")


def test_a_folder_that_is_none_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no config.json; name the folder of a run"):
        restore_folder(tmp_path)


def test_a_run_of_a_plugin_that_was_not_named_is_no_damage(
    run: tuple[RunConfig, Path, RunResult], tmp_path: Path
) -> None:
    config, folder, _ = run
    (tmp_path / "preparation.json").write_bytes((folder / "preparation.json").read_bytes())
    plain = {**config.plain(), "model": {"family": "Mine"}}
    (tmp_path / "config.json").write_text(json.dumps(plain))
    told = r"config\.json: model.*: no family 'Mine'; .* \(your own code comes with --plugin FILE\)"
    with pytest.raises(UsageError, match=told):
        restore_folder(tmp_path)


def test_a_run_without_its_preparation_is_refused(
    run: tuple[RunConfig, Path, RunResult], tmp_path: Path
) -> None:
    _, folder, _ = run
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UsageError, match="mlp on iris brings its own preparation; predict with"):
        restore_folder(tmp_path)


def test_a_whole_module_is_scored_by_its_own_steps(
    whole: dict[str, Any], make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(**whole)
    result = train(config, tmp_path)
    scores = score(config, tmp_path / "best.ckpt", split="validation").metrics
    assert scores == {"val_loss": pytest.approx(result.value)}
    with pytest.raises(UsageError, match="define test_step and its loader"):
        score(config, tmp_path / "best.ckpt", split="test")


class WithTest(Whole):
    """One that logs in its test what tutorials log there."""

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("test_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))
        self.log("test_other", 1.0)


def test_what_a_test_logs_is_known_by_the_objectives_name(
    whole: dict[str, Any], make_config: MakeConfig, tmp_path: Path
) -> None:
    plugins.lightning_module("WithTest")(WithTest)
    config = make_config(**{**whole, "model": {"family": "WithTest"}})
    train(config, tmp_path)
    scores = score(config, tmp_path / "best.ckpt", split="test").metrics
    assert set(scores) == {"val_loss", "test_other"}


def test_what_several_processes_trained_is_scored_by_one(
    whole: dict[str, Any], make_config: MakeConfig, tmp_path: Path
) -> None:
    result = train(make_config(**whole), tmp_path)
    wide = make_config(**whole, trainer={"max_epochs": 2, "processes": 2, "accelerator": "cpu"})
    scores = score(wide, tmp_path / result.checkpoint.path, split="validation").metrics
    assert scores["val_loss"] == pytest.approx(result.value, abs=1e-6)


def test_a_whole_module_has_no_preparation_of_ours(
    whole: dict[str, Any], make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(**whole)
    (tmp_path / "config.json").write_text(json.dumps(config.plain()))
    with pytest.raises(UsageError, match="whole on iris brings its own preparation; predict with"):
        restore_folder(tmp_path)
