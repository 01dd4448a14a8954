"""Every field of optimizers, schedules, averages and the trainer has an effect on the training."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.build import open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import EarlyStoppingConfig, RunConfig, TrainerConfig
from lightning_modules.optim import AVERAGES, OPTIMIZERS, SCHEDULES
from lightning_modules.optimizers import build_optimizer, build_schedule
from lightning_modules.registry import Registry
from lightning_modules.result import TIMED
from lightning_modules.settings import Settings
from lightning_modules.train import train

N_STEPS = 12
OTHERS: dict[str, Any] = {"nesterov": True, "beta2_decay": -0.5, "patience": 0}
"""Another value of a field, where it is none of the share 0.4, or of twice the lr."""
TRAINER: dict[str, Any] = {
    "max_epochs": 1,
    "batch_size": 24,
    "validate_every": 0.5,
    "gradient_clip": 1e-3,
    "accumulate": 2,
    "averaging": {"name": "swa", "start": 0.5},
    "early_stopping": {"patience": 1, "min_delta": 1.0},
    "precision": "bf16-mixed",
}
ELSEWHERE = {"threads", "processes", "accelerator", "layout", "compile"}
"""How fast and where a run is trained, not what: their own tests see to them."""


def fields(registry: Registry[Any]) -> list[tuple[str, str]]:
    return [
        (name, field)
        for name, entry in registry.items()
        for field in entry.config.model_fields
        if field != "name"
    ]


def other(field: str, value: Any) -> Any:
    if field in OTHERS:
        return OTHERS[field]
    if field == "lr":
        return 2 * value
    return 0.4 if value != 0.4 else 0.3


def changed(config: type[Settings], field: str) -> Settings:
    return config.model_validate({field: other(field, getattr(config(), field))})


def rows(step: int) -> Tensor:
    return torch.randn(4, 4, generator=torch.Generator().manual_seed(step))


def mean_loss(network: nn.Module) -> float:
    x = torch.cat([rows(step) for step in range(20)])
    return nn.functional.mse_loss(network(x), x.sum(1, keepdim=True)).item()


def stepped(
    optimizer: Settings, schedule: Settings | None = None, n_steps: int = N_STEPS
) -> tuple[list[Tensor], list[float]]:
    """Return the weights after some steps on few rows each, and the losses before and after."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    steps = build_optimizer(optimizer, network, n_steps=n_steps)
    rates = schedule and build_schedule(schedule, steps, n_steps=n_steps, direction="minimize")
    losses = [mean_loss(network)]
    for step in range(n_steps):
        x = rows(step)
        steps.zero_grad()
        nn.functional.mse_loss(network(x), x.sum(1, keepdim=True)).backward()
        steps.step()
        if isinstance(rates, torch.optim.lr_scheduler.ReduceLROnPlateau):
            rates.step(1.0)  # never better
        elif rates is not None:
            rates.step()
    return [p.detach() for p in network.parameters()], [*losses, mean_loss(network)]


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(("name", "field"), fields(OPTIMIZERS))
def test_another_value_of_an_optimizers_field_trains_other_weights(name: str, field: str) -> None:
    config = OPTIMIZERS[name].config
    assert equal(stepped(config())[0], stepped(config())[0])
    assert not equal(stepped(config())[0], stepped(changed(config, field))[0])


@pytest.mark.parametrize(("name", "field"), fields(SCHEDULES))
def test_another_value_of_a_schedules_field_trains_other_weights(name: str, field: str) -> None:
    config, sgd = SCHEDULES[name].config, OPTIMIZERS["sgd"].config()
    assert not equal(stepped(sgd, config())[0], stepped(sgd, changed(config, field))[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name: str) -> None:
    _, (before, after) = stepped(OPTIMIZERS[name].config(), n_steps=60)
    assert after < 0.99 * before


def outcome(folder: Path, **trainer: Any) -> tuple[list[str], Mapping[str, Tensor]]:
    """Return curve and kept weights of a short run."""
    settings = {"max_epochs": 2, "batch_size": 32, "accelerator": "cpu", **trainer}
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": 4},
            "objective": {"metric": "log_loss"},
            "trainer": settings,
        }
    )
    train(config, folder, data=open_data(config))
    with (folder / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    curve = [{name: value for name, value in row.items() if name not in TIMED} for row in rows]
    return curve, load_checkpoint(folder / "best.ckpt")["state_dict"]


def same(one: Any, two: Any) -> bool:
    return one[0] == two[0] and equal(list(one[1].values()), list(two[1].values()))


def test_every_setting_of_the_trainer_is_tried_here() -> None:
    assert set(TRAINER) | ELSEWHERE == set(TrainerConfig.model_fields)


@pytest.mark.parametrize("field", TRAINER)
def test_another_value_of_a_trainers_field_is_another_run(field: str, tmp_path: Path) -> None:
    longer = {"max_epochs": 4} if field == "early_stopping" else {}
    plain = outcome(tmp_path / "plain", **longer)
    assert same(plain, outcome(tmp_path / "again", **longer))
    assert not same(plain, outcome(tmp_path / "other", **{**longer, field: TRAINER[field]}))


@pytest.mark.parametrize(
    "pair",
    [
        *(
            ("averaging", {"name": name}, {"name": name, field: 0.4})
            for name, field in fields(AVERAGES)
        ),
        *(
            ("early_stopping", {"patience": 1, "min_delta": 1.0}, two)
            for two in ({"patience": 2, "min_delta": 1.0}, {"patience": 1, "min_delta": 1e-6})
        ),
    ],
    ids=str,
)
def test_another_value_within_a_trainers_field_is_another_run(
    pair: tuple[str, Any, Any], tmp_path: Path
) -> None:
    field, one, two = pair
    runs = [
        outcome(tmp_path / str(i), max_epochs=4, **{field: v}) for i, v in enumerate((one, two))
    ]
    assert not same(*runs)


def test_early_stopping_has_no_field_that_is_not_tried_here() -> None:
    assert set(EarlyStoppingConfig.model_fields) == {"patience", "min_delta"}


def test_the_guide_names_every_setting() -> None:
    guide = Path(__file__).parents[2].joinpath("docs", "training.md").read_text()
    rows = [line for line in guide.splitlines() if line.startswith("| `")]
    told = {row.split("`")[1]: row for row in rows}
    assert set(told) == {*OPTIMIZERS, *SCHEDULES, *TrainerConfig.model_fields}
    common = {"name", "lr", "weight_decay"}
    for name, entry in (*OPTIMIZERS.items(), *SCHEDULES.items()):
        own = set(entry.config.model_fields) - common
        assert {part for part in told[name].split("`")[1::2] if part in own} == own, name
    for name, entry in OPTIMIZERS.items():
        rates = entry.config().model_dump()
        given = [float(one) for one in told[name].rstrip(" |").rpartition("|")[2].split(",")]
        assert given == [rates["lr"], rates["weight_decay"]], name
        assert ("¹" in told[name]) is entry.extra
    assert all(f"`{name}`" in guide for name in AVERAGES)
