import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_modules.optim import (
    OPTIMIZERS,
    SCHEDULES,
    CosineConfig,
    OneCycleConfig,
    PlateauConfig,
    SgdConfig,
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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_of_the_kind_that_its_name_says(name: str) -> None:
    optimizer = build_optimizer(OPTIMIZERS[name].config(), network().parameters())
    assert type(optimizer).__name__.lower() == name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_of_an_optimizer_arrives(name: str) -> None:
    changed = {"weight_decay": 0.25, "lr": 0.125}
    changed |= {
        field: value
        for field, value in {
            "momentum": 0.5, "nesterov": True, "beta1": 0.5, "beta2": 0.75, "lr_decay": 0.5,
            "alpha": 0.5,
        }.items()
        if field in OPTIMIZERS[name].config.model_fields
    }  # fmt: skip
    config = OPTIMIZERS[name].config.model_validate(changed)
    group = build_optimizer(config, network().parameters()).param_groups[0]
    if "betas" in group:
        group["beta1"], group["beta2"] = group["betas"]
    assert {field: group[field] for field in changed} == changed


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_and_biases_are_not_decayed(name: str) -> None:
    config = OPTIMIZERS[name].config.model_validate({"weight_decay": 0.5})
    matrices, rest = build_optimizer(config, network().parameters()).param_groups
    assert (matrices["weight_decay"], rest["weight_decay"]) == (0.5, 0.0)
    assert [p.ndim for p in matrices["params"]] == [2, 2]
    assert [p.ndim for p in rest["params"]] == [1, 1, 1, 1]


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].requires_grad_(False)  # type: ignore[index]
    groups = parameter_groups(model.parameters(), 0.0)
    assert sum(len(group["params"]) for group in groups) == 4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_step_lowers_a_convex_loss(name: str) -> None:
    weight = nn.Parameter(torch.ones(1, 1))
    optimizer = build_optimizer(OPTIMIZERS[name].config(), [weight])
    for _ in range(3):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert abs(weight.item()) < 1.0


def test_settings_that_are_no_optimizer_are_refused() -> None:
    with pytest.raises(TypeError, match="no optimizer is built from Settings"):
        build_optimizer(Settings(), network().parameters())


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"constant"}))
def test_every_schedule_but_the_constant_one_is_built(name: str) -> None:
    optimizer = build_optimizer(SgdConfig(), network().parameters())
    schedule = build_schedule(SCHEDULES[name].config(), optimizer, n_steps=10, direction="maximize")
    assert schedule is not None


def test_the_constant_schedule_is_none() -> None:
    optimizer = build_optimizer(SgdConfig(), network().parameters())
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
    optimizer = build_optimizer(SgdConfig(lr=0.5), [nn.Parameter(torch.ones(1, 1))])
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
    optimizer = build_optimizer(SgdConfig(lr=1.0), [nn.Parameter(torch.ones(1, 1))])
    config = PlateauConfig(factor=0.5, patience=1)
    schedule = build_schedule(config, optimizer, n_steps=4, direction=direction)  # type: ignore[arg-type]
    assert isinstance(schedule, ReduceLROnPlateau)
    rates = []
    for value in (1.0, worse, worse):
        schedule.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 0.5]
