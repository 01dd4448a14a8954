from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules import plugins
from lightning_modules import train as training
from lightning_modules.build import open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SOURCES, Source
from lightning_modules.result import Command, Validation
from lightning_modules.settings import Settings
from lightning_modules.train import train

MakeConfig = Callable[..., RunConfig]
Weights = dict[str, Tensor]
NONE = {"name": "none"}


class StopAt:
    """Stop the run at its ``at``-th validation."""

    def __init__(self, at: int) -> None:
        self.left = at

    def validated(self, validation: Validation) -> Command:
        self.left -= 1
        return Command.CONTINUE if self.left else Command.STOP

    def batch_ended(self) -> Command:
        return Command.CONTINUE


@pytest.fixture
def weights_after(make_config: MakeConfig, tmp_path: Path) -> Callable[..., Weights]:
    """Return a function from steps, of all rows each, to the weights of the validation there."""

    def after(n_steps: int, averaging: Any = NONE, n_epochs: int = 4) -> Weights:
        folder = tmp_path / f"{n_steps} {n_epochs} {averaging}"
        config = make_config(
            model={"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch"},
            optimizer={"name": "sgd", "lr": 0.1},
            objective={"metric": "log_loss"},
            trainer={"max_epochs": n_epochs, "batch_size": 1000, "averaging": averaging},
        )
        result = train(config, folder, report=StopAt(n_steps))
        assert result.steps == result.best_validation == n_steps  # it improves with every step
        state: Weights = load_checkpoint(folder / "best.ckpt")["state_dict"]
        return state

    return after


def mean(parts: list[tuple[float, Weights]]) -> Weights:
    return {name: sum(share * one[name] for share, one in parts) for name in parts[0][1]}  # type: ignore[misc]


def close(one: Weights, other: Weights) -> None:
    floats = [name for name in one if one[name].is_floating_point()]
    assert any("running_mean" in name for name in floats)
    torch.testing.assert_close({n: one[n] for n in floats}, {n: other[n] for n in floats})


def test_an_equal_average_is_of_all_steps_since_its_start(
    weights_after: Callable[..., Weights],
) -> None:
    steps = [weights_after(n) for n in (1, 2, 3, 4)]
    swa = {"name": "swa", "start": 0.25}
    close(weights_after(1, swa), steps[0])  # it has not begun
    close(weights_after(2, swa), steps[1])
    close(weights_after(4, swa), mean([(1 / 3, one) for one in steps[1:]]))


def test_a_moving_average_forgets_less_from_step_to_step(
    weights_after: Callable[..., Weights],
) -> None:
    one, two, three = (weights_after(n) for n in (1, 2, 3))
    ema = {"name": "ema", "decay": 0.2}
    close(weights_after(1, ema), one)
    both = mean([(2 / 11, one), (9 / 11, two)])
    close(weights_after(2, ema), both)
    close(weights_after(3, ema), mean([(0.2, both), (0.8, three)]))  # 3/12 would be more


def test_whole_numbers_of_the_weights_are_not_averaged(
    weights_after: Callable[..., Weights],
) -> None:
    swa = weights_after(4, {"name": "swa", "start": 0.0})
    [counted] = [value for name, value in swa.items() if name.endswith("num_batches_tracked")]
    assert int(counted) == 4


class Own(pl.LightningModule):
    """A whole module with a buffer that holds infinities."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.linear(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.training_step(batch, 0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Rows(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=4, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(self.train_dataloader().dataset, batch_size=4)


class RowsConfig(Settings):
    source: Literal["Rows"] = "Rows"


def test_weights_of_a_whole_module_are_averaged_too(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    plugins.lightning_module("Own")(Own)
    SOURCES.register("Rows")(Source(config=RowsConfig, datamodule=lambda _: Rows()))
    kept = {}
    for averaging in (NONE, {"name": "ema"}):
        config = make_config(
            task=None,
            model={"family": "Own"},
            data={"source": "Rows"},
            objective={"metric": "val_loss", "direction": "minimize"},
            trainer={"max_epochs": 2, "averaging": averaging},
        )
        folder = tmp_path / averaging["name"]
        train(config, folder)
        kept[averaging is NONE] = load_checkpoint(folder / "best.ckpt")["state_dict"]
    assert not torch.equal(kept[True]["linear.weight"], kept[False]["linear.weight"])
    assert kept[False]["mask"].tolist() == [0.0, -torch.inf]


class Look(pl.Callback):
    """Keep the weights at the end, as the optimizer's own ``eval`` leaves them."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        optimizer: Any = trainer.optimizers[0]
        optimizer.eval()
        self.weights = {name: one.clone() for name, one in pl_module.state_dict().items()}


@pytest.mark.parametrize("name", ["schedule_free_adamw", "schedule_free_sgd"])
def test_a_schedule_free_optimizer_is_evaluated_at_its_own_average(
    name: str, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(optimizer={"name": name}, trainer={"max_epochs": 1, "batch_size": 16})
    look, make = Look(), training.make_trainer

    def looked_at(config: RunConfig, folder: Path, *, callbacks: list[Any], **more: Any) -> Any:
        return make(config, folder, callbacks=[*callbacks, look], **more)

    monkeypatch.setattr(training, "make_trainer", looked_at)
    training.train(config, tmp_path)
    kept = load_checkpoint(tmp_path / "best.ckpt")["state_dict"]
    torch.testing.assert_close(dict(kept), look.weights)


def test_batch_norms_of_a_schedule_free_average_have_its_own_statistics(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        model={"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch"},
        optimizer={"name": "schedule_free_adamw"},
        trainer={"max_epochs": 2, "batch_size": 1000},
    )
    train(config, tmp_path)
    kept = load_checkpoint(tmp_path / "best.ckpt")["state_dict"]
    prepared = open_data(config).prepared
    assert prepared is not None
    means = (prepared.train.x @ kept["network.blocks.0.0.weight"].T).mean(0)
    torch.testing.assert_close(kept["network.blocks.0.1.running_mean"], means)
    assert int(kept["network.blocks.0.1.num_batches_tracked"]) == 1
