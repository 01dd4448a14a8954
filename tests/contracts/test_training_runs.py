"""Every optimizer, schedule and average: runs that go on, and checkpoints that hold what counts."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.build import open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.optim import AVERAGES, OPTIMIZERS, SCHEDULES
from lightning_modules.restore import score
from lightning_modules.result import TIMED, Command, Validation
from lightning_modules.train import train
from lightning_modules.watch import Abandoned

Sections = dict[str, Any]
AVERAGED: list[Sections] = [
    {"trainer": {"averaging": {"name": "ema"}}},
    {"trainer": {"averaging": {"name": "swa", "start": 0.25}}},
    *({"optimizer": {"name": name}} for name, entry in OPTIMIZERS.items() if entry.averages),
]
RUNS: list[Sections] = [
    *({"optimizer": {"name": name}} for name in OPTIMIZERS if not OPTIMIZERS[name].averages),
    *({"schedule": {"name": name}} for name in SCHEDULES if name != "constant"),
    *AVERAGED,
    {"trainer": {"accumulate": 4}},
    {"trainer": {"accumulate": 4, "averaging": {"name": "ema"}}, "schedule": {"name": "cosine"}},
    {"trainer": {"precision": "bf16-mixed"}},
]
N_BATCHES = 6
"""Of an epoch; a validation follows every third."""


class AbandonAt:
    """Have the run abandoned at its ``batch``-th batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        self.left -= 1
        return Command.ABANDON if self.left == 0 else Command.CONTINUE


def config_of(sections: Sections, **trainer: Any) -> RunConfig:
    settings = {"max_epochs": 3, "batch_size": 16, "validate_every": 0.5, "accelerator": "cpu"}
    return RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch", "dropout": 0.5},
            "objective": {"metric": "log_loss"},
            **sections,
            "trainer": {**settings, **sections.get("trainer", {}), **trainer},
        }
    )


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k not in TIMED} for row in rows]


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_checkpoint(folder / "best.ckpt")["state_dict"]
    return state


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_every_average_runs_here() -> None:
    found = {one["trainer"]["averaging"]["name"] for one in AVERAGED if "trainer" in one}
    assert found == set(AVERAGES) - {"none"}


@pytest.mark.parametrize("sections", RUNS, ids=str)
def test_a_run_goes_on_to_its_bits_and_keeps_what_it_validated(
    sections: Sections, tmp_path: Path
) -> None:
    config = config_of(sections)
    data = open_data(config)
    value = train(config, tmp_path / "whole", data=data).value
    measured = score(config, tmp_path / "whole" / "best.ckpt", split="validation", data=data)
    rounded = 0.01 if config.trainer.precision == "bf16-mixed" else 0.0  # measured in 32 bits
    assert measured.metrics["log_loss"] == pytest.approx(value, abs=rounded, rel=0)
    before_validation, with_validation = 8, 9
    for batch in (with_validation, before_validation)[: 2 if "trainer" in sections else 1]:
        folder = tmp_path / str(batch)
        with pytest.raises(Abandoned):
            train(config, folder, data=data, report=AbandonAt(batch))
        train(config, folder, data=data)
        assert curve(folder) == curve(tmp_path / "whole")
        assert equal(weights(folder), weights(tmp_path / "whole"))


@pytest.mark.parametrize("sections", AVERAGED, ids=str)
def test_a_validation_of_an_average_changes_nothing_of_the_training(
    sections: Sections, tmp_path: Path
) -> None:
    rows = []
    for every in (0.5, 1):
        train(config_of(sections, validate_every=every), tmp_path / str(every))
        rows.append({row["epoch"]: row["val/loss"] for row in curve(tmp_path / str(every))})
    assert rows[1].items() <= rows[0].items()
    assert len(rows[1]) == 3


@pytest.mark.parametrize("sections", AVERAGED, ids=str)
def test_an_average_is_not_what_is_trained(sections: Sections, tmp_path: Path) -> None:
    config = config_of(sections)
    with pytest.raises(Abandoned):
        train(config, tmp_path, report=AbandonAt(3 * N_BATCHES - 1))
    running = load_checkpoint(tmp_path / "last-000001.ckpt")["state_dict"]
    assert not equal(running, weights(tmp_path))
