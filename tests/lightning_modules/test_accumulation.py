import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules.build import build_module, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data.arrays import give_arrays
from lightning_modules.module import SupervisedModule
from lightning_modules.result import Command, Validation
from lightning_modules.running import MANIFEST
from lightning_modules.train import make_trainer, train
from lightning_modules.watch import Abandoned

MakeConfig = Callable[..., RunConfig]
N_ROWS = 90
"""To train on."""


def kept(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_checkpoint(folder / "best.ckpt")["state_dict"]
    return state


def accumulating(make_config: MakeConfig, accumulate: int, **more: Any) -> RunConfig:
    trainer = {"max_epochs": 2, "batch_size": 15, "accumulate": accumulate, "threads": 1}
    sections = {
        "data": {"source": "arrays", "name": "ninety"},
        "model": {"family": "mlp", "n_layers": 1, "width": 8, "dropout": 0.0},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "trainer": trainer | more.pop("trainer", {}),
    }
    return make_config(**sections | more)


@pytest.fixture(autouse=True)
def _ninety_rows() -> None:
    x = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
    give_arrays("ninety", x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0))


def test_a_config_without_it_is_the_config_that_it_was(make_config: MakeConfig) -> None:
    plain, one = make_config(), accumulating(make_config, 1)
    assert not {"accumulate", "averaging"} & plain.plain()["trainer"].keys()
    assert "accumulate" not in one.plain()["trainer"]


@pytest.mark.parametrize(("batch_size", "accumulate"), [(15, 2), (9, 5), (10, 3)])
def test_batches_that_are_accumulated_train_like_one_as_large(
    batch_size: int, accumulate: int, make_config: MakeConfig, tmp_path: Path
) -> None:
    for name, size, parts in (
        ("parts", batch_size, accumulate),
        ("one", batch_size * accumulate, 1),
    ):
        trainer = {"batch_size": size, "gradient_clip": 0.5}
        result = train(accumulating(make_config, parts, trainer=trainer), tmp_path / name)
        assert result.steps == 2 * N_ROWS / (batch_size * accumulate)
    torch.testing.assert_close(kept(tmp_path / "parts"), kept(tmp_path / "one"))


def test_the_last_step_of_an_epoch_follows_the_mean_of_the_batches_that_it_has(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    """Six batches: steps of four and of two, or of six where it would take eight."""
    for parts in (6, 8):
        train(accumulating(make_config, parts), tmp_path / str(parts))
    torch.testing.assert_close(kept(tmp_path / "6"), kept(tmp_path / "8"))
    assert train(accumulating(make_config, 4), tmp_path / "4").steps == 2 * 2


class Drawn(pl.Callback):
    """Keep what every batch draws: the noise of the network, and from the global generator."""

    def __init__(self) -> None:
        self.noise: list[Tensor] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.noise.append(torch.rand(1))


def test_every_batch_of_a_step_draws_noise_of_its_own(make_config: MakeConfig) -> None:
    config = accumulating(make_config, 3, model={"family": "mlp", "dropout": 0.5})
    module = build_module(config, open_data(config))
    assert isinstance(module, SupervisedModule)
    drawn = [module.noise(4, step, part) for step in (0, 1) for part in (0, 1, 2)]
    values = {tuple(torch.cat([one.flatten() for one in each.values()]).tolist()) for each in drawn}
    assert len(values) == 6
    first = module.noise(4, 1)
    assert all(torch.equal(first[place], drawn[3][place]) for place in first)


def test_every_batch_of_a_step_has_another_noise_in_training(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    noise = SupervisedModule.noise

    def listened(self: SupervisedModule, n_rows: int, step: int, part: int = 0) -> Any:
        asked.append((step, part))
        return noise(self, n_rows, step, part)

    monkeypatch.setattr(SupervisedModule, "noise", listened)
    train(accumulating(make_config, 4), tmp_path)
    epoch = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert asked == [*epoch, *((step + 2, part) for step, part in epoch)]


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_global_generator_is_seeded_anew_for_every_batch(
    accumulate: int, make_config: MakeConfig, tmp_path: Path
) -> None:
    from lightning_modules.watch import Watch

    config, drawn = accumulating(make_config, accumulate), Drawn()
    data = open_data(config)
    watch = Watch(config, tmp_path, None, resumable=False)
    trainer = make_trainer(config, tmp_path, callbacks=[watch, drawn])
    trainer.fit(build_module(config, data), datamodule=data.module(config))
    assert len({float(one) for one in drawn.noise}) == 12


def test_a_schedule_has_as_many_steps_as_the_optimizer(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    schedule = {"name": "cosine", "warmup": 0.0, "final": 0.5}
    rates = {}
    for accumulate in (1, 3, 4):
        config = accumulating(make_config, accumulate, schedule=schedule)
        train(config, tmp_path / str(accumulate))
        n_steps = 2 * math.ceil(6 / accumulate)
        lines = (tmp_path / str(accumulate) / "curve.csv").read_text().splitlines()
        last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
        share = 1 + math.cos(math.pi * n_steps / n_steps)
        rates[accumulate] = float(last["train/lr"]), 0.1 * (0.5 + 0.5 * share / 2)
    assert all(found == pytest.approx(right) for found, right in rates.values())


class Abandoning:
    def __init__(self, batch: int, validation: int = 0) -> None:
        self.batch, self.validation = batch, validation
        self.batches = self.validations = 0

    def validated(self, validation: Validation) -> Command:
        self.validations += 1
        return Command.ABANDON if self.validations == self.validation else Command.CONTINUE

    def batch_ended(self) -> Command:
        self.batches += 1
        return Command.ABANDON if self.batches == self.batch else Command.CONTINUE


@pytest.mark.parametrize(
    ("batch", "validation", "left_at"), [(4, 0, 4), (5, 0, 6), (7, 0, 10), (8, 0, 10), (0, 3, 10)]
)
def test_a_run_is_left_after_a_step_not_within_one(
    batch: int, validation: int, left_at: int, make_config: MakeConfig, tmp_path: Path
) -> None:
    """The third validation, after three batches of the second epoch, stands within a step."""
    config = accumulating(make_config, 4, trainer={"validate_every": 0.5})
    listener = Abandoning(batch, validation)
    with pytest.raises(Abandoned):
        train(config, tmp_path / "twice", report=listener)
    assert listener.batches == left_at
    assert (tmp_path / "twice" / MANIFEST).is_file()
    train(config, tmp_path / "twice")
    train(config, tmp_path / "whole")
    assert all(
        map(torch.equal, kept(tmp_path / "whole").values(), kept(tmp_path / "twice").values())
    )
