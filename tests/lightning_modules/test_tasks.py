"""What a training comes to under each way to ask and to weigh: losses, labels, sampling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_modules.build import open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.datamodule import TaskData
from lightning_modules.restore import restore_folder, score
from lightning_modules.result import Command, Validation
from lightning_modules.train import train
from lightning_modules.watch import Abandoned

MakeConfig = Callable[..., RunConfig]
LOUD = {"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch", "dropout": 0.5}
TASKS: dict[str, dict[str, Any]] = {
    "balanced sampling": {"kind": "binary", "sampling": "balanced"},
    "focal": {"kind": "binary", "loss": {"name": "focal"}, "class_weights": "balanced"},
    "labels": {"kind": "multilabel", "class_weights": "balanced"},
    "focal labels": {"kind": "multilabel", "loss": {"name": "focal", "gamma": 1.0}},
    "several numbers": {"kind": "regression", "loss": {"name": "quantile", "quantile": 0.8}},
}


class AbandonAt:
    """Have the run abandoned at a batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        self.left -= 1
        return Command.ABANDON if self.left == 0 else Command.CONTINUE


def data_for(task: dict[str, Any]) -> dict[str, str]:
    """Give rows of which one in ten is of the rare class, and return how a config names them."""
    x = np.random.default_rng(0).normal(size=(200, 4))
    y: Any = np.where(x[:, 0] + 0.3 * x[:, 1] > 1.4, "rare", "usual")
    if task["kind"] == "multilabel":
        y = (x[:, :3] > [1.2, 0, 0]).astype(int)
    if task["kind"] == "regression":
        y = pd.DataFrame(x[:, :2] * [1, 50] + x[:, 2:] * [0.5, 25], columns=["low", "high"])
    give_arrays(f"tasks {task['kind']}", x, y)
    return {"source": "arrays", "name": f"tasks {task['kind']}"}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = load_checkpoint(folder / "best.ckpt")["state_dict"]
    return state


@pytest.mark.parametrize("name", TASKS)
def test_an_interrupted_run_goes_on_to_the_same_bits(
    name: str, make_config: MakeConfig, tmp_path: Path
) -> None:
    task = TASKS[name]
    config = make_config(task=task, data=data_for(task), model=LOUD, trainer={"max_epochs": 2})
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Abandoned):
        train(config, tmp_path / "twice", report=AbandonAt(3))
    twice = train(config, tmp_path / "twice")
    assert whole.metrics == twice.metrics
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "twice")
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", TASKS)
def test_a_run_folder_predicts_what_was_measured(
    name: str, make_config: MakeConfig, tmp_path: Path
) -> None:
    task = TASKS[name]
    config = make_config(task=task, data=data_for(task), trainer={"max_epochs": 1})
    result, data = train(config, tmp_path), open_data(config)
    found = score(config, tmp_path / "best.ckpt", split="validation", data=data)
    assert found.metrics[config.objective.metric] == pytest.approx(result.value)
    _, _, module = restore_folder(tmp_path)
    assert data.prepared is not None
    with torch.inference_mode():
        again = module.predict(module(data.prepared.validation.x))
    assert torch.equal(again, found.outputs)


def test_balanced_sampling_and_weights_find_more_of_the_rare_class(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    plain: dict[str, Any] = {"kind": "binary"}
    recall = {}
    for name in ("none", "sampling", "class_weights"):
        task = {**plain, **({} if name == "none" else {name: "balanced"})}
        config = make_config(
            task=task,
            data=data_for(task),
            optimizer={"name": "adamw", "lr": 0.01},
            trainer={"max_epochs": 4},
            objective={"metric": "balanced_accuracy"},
        )
        recall[name] = train(config, tmp_path / name).value
    assert min(recall["sampling"], recall["class_weights"]) > recall["none"] + 0.1


def test_an_epoch_is_balanced_where_the_config_says_so(make_config: MakeConfig) -> None:
    for sampling, share in (("none", 0.1), ("balanced", 0.5)):
        task = {"kind": "binary", "sampling": sampling}
        config = make_config(task=task, data=data_for(task))
        module = open_data(config).module(config)
        assert isinstance(module, TaskData)
        y = torch.cat([y for _, y in module.train_dataloader()])
        assert len(y) == 120
        assert float((y == 0).float().mean()) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_the_quantile_loss_predicts_a_quantile(
    quantile: float, make_config: MakeConfig, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).normal(size=400)
    give_arrays("noise", np.zeros((400, 1)) + np.arange(400)[:, None] % 7, 100 + 10 * noise)
    config = make_config(
        task={"kind": "regression", "loss": {"name": "quantile", "quantile": quantile}},
        data={"source": "arrays", "name": "noise", "split": "random"},
        optimizer={"name": "adamw", "lr": 0.02},
        trainer={"max_epochs": 15},
        objective={"metric": "pinball"},
    )
    train(config, tmp_path)
    found = score(config, tmp_path / "best.ckpt", split="validation")
    assert found.outputs is not None
    assert found.targets is not None
    below = float((found.targets <= found.outputs).float().mean())
    assert below == pytest.approx(quantile, abs=0.1)
