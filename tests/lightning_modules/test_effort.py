import csv
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules import plugins
from lightning_modules.build import build_module, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.effort import GradientNorm, Pace, rows_of, total_norm
from lightning_modules.module import SupervisedModule
from lightning_modules.result import Command, Validation
from lightning_modules.seeds import derive
from lightning_modules.train import seed_everything, train
from lightning_modules.watch import Abandoned

MakeConfig = Callable[..., RunConfig]
STILL = {"name": "sgd", "lr": 1e-30, "momentum": 0.0}
"""An optimizer that leaves the weights where they are."""


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def gradient_norm_of_all_rows(config: RunConfig) -> float:
    seed_everything(derive(config.seed, "init"))
    data = open_data(config)
    module = build_module(config, data)
    assert isinstance(module, SupervisedModule)
    assert data.prepared is not None
    x, y = data.prepared.train.x, data.prepared.train.y
    module.loss(dict(module.network.named_parameters()), {}, (x, y), {}, module.numbers)[
        0
    ].backward()
    grads = [p.grad.flatten() for p in module.network.parameters() if p.grad is not None]
    return float(torch.cat(grads).norm())


@pytest.mark.parametrize(
    "trainer",
    [
        {"batch_size": 1000},
        {"batch_size": 1000, "gradient_clip": 1e-3},
        {"batch_size": 45, "accumulate": 2},
    ],
    ids=["whole", "clipped", "accumulated"],
)
def test_the_gradient_norm_is_that_of_the_step_before_it_is_clipped(
    make_config: MakeConfig, tmp_path: Path, trainer: dict[str, Any]
) -> None:
    still = {"family": "mlp", "n_layers": 1, "width": 8, "dropout": 0.0}
    config = make_config(model=still, optimizer=STILL, trainer={"max_epochs": 2, **trainer})
    result = train(config, tmp_path)
    assert result.steps == 2
    expected = gradient_norm_of_all_rows(config)
    for row in curve(tmp_path):
        # Halves of 45 and 44 rows: their mean is not quite the mean over the rows.
        assert float(row["train/grad_norm"]) == pytest.approx(expected, rel=0.02)


def test_looking_at_gradients_changes_no_bit(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(model={"family": "mlp", "n_layers": 1, "width": 8, "dropout": 0.5})
    train(config, tmp_path / "looked")
    monkeypatch.setattr(GradientNorm, "add", lambda *_: None)
    monkeypatch.setattr("lightning_modules.module._measures_training", lambda config: False)
    train(config, tmp_path / "not")
    looked, other = (
        load_checkpoint(tmp_path / name / "best.ckpt")["state_dict"] for name in ("looked", "not")
    )
    assert all(torch.equal(looked[name], other[name]) for name in other)
    assert {"train/grad_norm", "train/accuracy"} == set(curve(tmp_path / "looked")[0]) - set(
        curve(tmp_path / "not")[0]
    )


class ByHand(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.automatic_optimization = False

    def training_step(self, batch: Any, index: int) -> None:
        optimizer: Any = self.optimizers()
        self.manual_backward(self.layer(batch["x"]).square().mean())
        optimizer.step()
        optimizer.zero_grad()

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", self.layer(batch["x"]).square().mean(), batch_size=4)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def train_dataloader(self) -> Any:
        return self.loader()

    def val_dataloader(self) -> Any:
        return self.loader()

    def loader(self) -> Any:
        rows = TensorDataset(torch.ones(8, 2), torch.ones(8))
        return DataLoader(rows, batch_size=4, collate_fn=self.collate)

    def collate(self, rows: Any) -> Any:
        batch = {"x": torch.stack([x for x, _ in rows])}
        return batch | ({"edges": torch.ones(2, 7)} if self.odd else {})

    odd = False


class Odd(ByHand):
    odd = True


@pytest.mark.parametrize("module", [ByHand, Odd])
def test_what_is_not_known_of_a_module_of_the_users_own_is_absent_and_said(
    registries: None, tmp_path: Path, module: type[ByHand]
) -> None:
    plugins.lightning_module("by_hand")(module)

    class Data(pl.LightningDataModule):
        def train_dataloader(self) -> Any:
            return module().loader()

        val_dataloader = train_dataloader

    plugins.data_module("own")(Data)
    config = RunConfig.model_validate(
        {
            "model": {"family": "by_hand"},
            "data": {"source": "own"},
            "objective": {"metric": "val_loss", "direction": "minimize"},
            "trainer": {"max_epochs": 1, "accelerator": "cpu"},
        }
    )
    result = train(config, tmp_path)
    (row,) = curve(tmp_path)
    assert "train/grad_norm" not in row
    assert float(row["train/seconds"]) > 0
    assert result.flops is None
    assert result.latency == {}
    assert {"flops", "latency_ms"} <= result.null_because.keys()
    if module is Odd:
        assert "train/samples_per_second" not in row
        assert result.samples_per_second is None
        assert "different lengths" in result.null_because["samples_per_second"]
    else:
        assert result.samples_per_second == pytest.approx(8 / float(row["train/seconds"]), rel=0.01)


class Ending:
    """Abandon a run at a batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        self.left -= 1
        return Command.CONTINUE if self.left else Command.ABANDON


def test_a_run_that_goes_on_counts_what_it_did_before(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1, 10_000))
    monkeypatch.setattr("lightning_modules.effort.time.perf_counter", lambda: float(next(clock)))
    config = make_config(trainer={"max_epochs": 2, "batch_size": 16})
    whole = train(config, tmp_path / "whole")
    for batch in (2, 5):
        with pytest.raises(Abandoned):
            train(config, tmp_path / "parts", report=Ending(batch))
    parts = train(config, tmp_path / "parts")
    n_rows = whole.data.n_rows["train"]
    for result, folder in ((whole, "whole"), (parts, "parts")):
        rows = curve(tmp_path / folder)
        seconds = [float(row["train/seconds"]) for row in rows]
        speeds = [float(row["train/samples_per_second"]) for row in rows]
        assert speeds == pytest.approx([n_rows / one for one in seconds], rel=1e-3)
        assert result.train_seconds == pytest.approx(sum(seconds))
        assert result.samples_per_second == pytest.approx(2 * n_rows / sum(seconds), rel=1e-3)
    assert list(curve(tmp_path / "whole")[0]) == list(curve(tmp_path / "parts")[0])


def test_a_checkpoint_of_before_norms_and_pace_still_goes_on() -> None:
    norm, pace = GradientNorm(), Pace()
    norm.load_state_dict({})
    pace.load_state_dict({})
    pace.add(4)
    assert pace.take()[1] is None  # rows that nobody counted
    assert norm.take() != norm.take()  # NaN


def test_the_clock_stands_while_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("lightning_modules.effort.time.perf_counter", lambda: now[0])
    pace = Pace()
    for step, running in ((2.0, True), (5.0, False), (3.0, True)):
        if running:
            pace.run()
        else:
            pace.rest()
        now[0] += step
    pace.run()
    pace.add(10)
    assert pace.take() == (5.0, 10)
    assert pace.take() == (0.0, 0)


def test_norms_of_any_gradients_are_those_of_all_numbers_together() -> None:
    dense = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert float(total_norm(dense)) == 5.0
    assert float(total_norm([one.double() for one in dense])) == 5.0
    assert float(total_norm([one.to(torch.bfloat16) for one in dense])) == 5.0
    sparse = torch.sparse_coo_tensor(
        torch.tensor([[1, 1]]), torch.tensor([1.0, 2.0]), (4,), check_invariants=True
    )
    assert float(total_norm([sparse, torch.tensor([4.0])])) == 5.0


def test_rows_are_known_where_all_tensors_agree() -> None:
    assert rows_of({"a": torch.ones(3, 2), "b": [torch.ones(3), torch.tensor(1.0)]}) == 3
    assert rows_of({"a": torch.ones(3), "b": torch.ones(2)}) is None
    assert rows_of("text") is None


def test_a_step_that_mixed_precision_leaves_out_is_none() -> None:
    """The gradients are those of a step after the scaler's unscaling, whose overflow it skips."""
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    module = SimpleNamespace(automatic_optimization=True)
    mixed = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=object()))
    whole = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=None))
    for trainer, expected in ((mixed, 5.0), (whole, math.inf)):
        norm = GradientNorm()
        for gradient in ([3.0, 4.0], [math.inf, 0.0]):
            weight.grad = torch.tensor(gradient)
            norm.add(trainer, module, optimizer)  # type: ignore[arg-type]
        assert norm.take() == expected
        assert math.isnan(norm.take())


def test_an_optimizer_that_unscales_by_itself_shows_no_norm() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.ones(2)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer._step_supports_amp_scaling = True  # type: ignore[attr-defined]
    norm = GradientNorm()
    mixed = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=object()))
    norm.add(mixed, SimpleNamespace(automatic_optimization=True), optimizer)  # type: ignore[arg-type]
    assert math.isnan(norm.take())
