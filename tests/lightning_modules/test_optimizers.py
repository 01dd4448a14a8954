import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_modules.errors import UsageError
from lightning_modules.optim import (
    OPTIMIZERS,
    SCHEDULES,
    CosineConfig,
    OneCycleConfig,
    PlateauConfig,
)
from lightning_modules.optimizers import (
    build_optimizer,
    build_schedule,
    cosine_factor,
    one_cycle_factor,
    parameter_groups,
)
from lightning_modules.settings import Settings

shares = st.floats(0.01, 0.99)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def built(name: str, module: nn.Module | None = None, **settings: Any) -> Optimizer:
    config = OPTIMIZERS[name].config.model_validate(settings)
    return build_optimizer(config, module or network(), n_steps=10)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_of_the_kind_that_its_name_says(name: str) -> None:
    assert type(built(name)).__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_and_biases_are_not_decayed(name: str) -> None:
    groups = built(name, weight_decay=0.5).param_groups
    decays = {p.ndim: group["weight_decay"] for group in groups for p in group["params"]}
    assert decays == {2: 0.5, 1: 0.0}
    assert sorted(p.ndim for group in groups for p in group["params"]) == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "muon"])
def test_a_fused_step_is_the_same_to_rounding(name: str) -> None:
    config = OPTIMIZERS[name].config.model_validate({"weight_decay": 0.1})
    trained = []
    for fused in (True, False):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = build_optimizer(config, module, n_steps=10, fused=fused)
        x = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
        for _ in range(10):
            optimizer.zero_grad()
            module(x).square().sum().backward()
            optimizer.step()
        trained.append([p.detach() for p in module.parameters()])
        assert any(group.get("fused") for group in optimizer.param_groups) == fused
    torch.testing.assert_close(*trained, rtol=1e-5, atol=1e-6)


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].requires_grad_(False)  # type: ignore[index]
    groups = parameter_groups(model.parameters(), 0.0)
    assert sum(len(group["params"]) for group in groups) == 4


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if OPTIMIZERS[name].extra])
def test_an_optimizer_without_its_package_names_the_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    text = rf"^optimizer.name: {name} needs pytorch_optimizer; pip install 'hpo\[optim\]'$"
    with pytest.raises(UsageError, match=text):
        built(name)


def test_settings_of_the_package_arrive_under_its_own_names() -> None:
    group = built("schedule_free_sgd", momentum=0.5, warmup=0.3).param_groups[0]
    assert (group["momentum"], group["warmup_steps"], group["lr"]) == (0.5, 3, 0.5)
    group = built("adan", beta1=0.1, beta2=0.2, beta3=0.3).param_groups[0]
    assert group["betas"] == (0.1, 0.2, 0.3)


def test_settings_that_are_no_optimizer_are_refused() -> None:
    with pytest.raises(TypeError, match="no optimizer is built from Settings"):
        build_optimizer(Settings(), network(), n_steps=1)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"constant"}))
def test_every_schedule_but_the_constant_one_is_built(name: str) -> None:
    optimizer = built("sgd")
    schedule = build_schedule(SCHEDULES[name].config(), optimizer, n_steps=10, direction="maximize")
    assert schedule is not None


def test_the_constant_schedule_is_none() -> None:
    optimizer = built("sgd")
    config = SCHEDULES["constant"].config()
    assert build_schedule(config, optimizer, n_steps=10, direction="maximize") is None


@given(warmup=shares, final=shares, n_steps=st.integers(1, 200))
def test_cosine_climbs_to_the_lr_and_falls_to_its_end(
    warmup: float, final: float, n_steps: int
) -> None:
    factor = cosine_factor(CosineConfig(warmup=warmup, final=final), n_steps)
    course = [factor(step) for step in range(n_steps + 1)]
    top = round(warmup * n_steps)
    assert all(0 < value <= 1 for value in course)
    assert course[: top + 1] == sorted(course[: top + 1])
    assert course[top:] == sorted(course[top:], reverse=True)
    if top < n_steps:
        assert course[top] == 1
        assert course[-1] == pytest.approx(final)


@given(warmup=shares, start=shares, final=shares, n_steps=st.integers(2, 200))
def test_one_cycle_starts_low_reaches_the_lr_and_ends_lower(
    warmup: float, start: float, final: float, n_steps: int
) -> None:
    config = OneCycleConfig(warmup=warmup, start=start, final=final)
    factor = one_cycle_factor(config, n_steps)
    course = [factor(step) for step in range(n_steps + 1)]
    top = max(round(warmup * n_steps), 1)
    assert course[0] == pytest.approx(start)
    assert course[top] == pytest.approx(1)
    assert all(0 < value <= 1 + 1e-12 for value in course)
    assert factor(n_steps) == pytest.approx(final if top < n_steps else 1)


@pytest.mark.parametrize("config", [CosineConfig(), OneCycleConfig()])
def test_a_schedule_stays_at_its_end_beyond_the_last_step(config: Settings) -> None:
    factor = (
        cosine_factor(config, 10)
        if isinstance(config, CosineConfig)
        else one_cycle_factor(OneCycleConfig(), 10)
    )
    assert factor(10) == factor(11) == factor(1000)


def test_a_schedule_scales_the_learning_rate_of_each_step() -> None:
    optimizer = built("sgd", lr=0.5)
    config = CosineConfig(warmup=0.0, final=0.0)
    schedule = build_schedule(config, optimizer, n_steps=4, direction="minimize")
    assert schedule is not None
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()  # type: ignore[call-arg]
    assert seen == [0.5 * cosine_factor(config, 4)(step) for step in range(4)]


@pytest.mark.parametrize(("direction", "worse"), [("maximize", 0.0), ("minimize", 2.0)])
def test_a_plateau_lowers_the_rate_when_the_objective_stays_worse(
    direction: str, worse: float
) -> None:
    optimizer = built("sgd", lr=1.0)
    config = PlateauConfig(factor=0.5, patience=1)
    schedule = build_schedule(config, optimizer, n_steps=4, direction=direction)  # type: ignore[arg-type]
    assert isinstance(schedule, ReduceLROnPlateau)
    rates = []
    for value in (1.0, worse, worse):
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 0.5]
