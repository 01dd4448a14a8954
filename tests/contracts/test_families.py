"""What every family keeps to, whatever is registered: shapes, gradients, noise, learning."""

import itertools
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.config import RunConfig
from lightning_modules.data.facts import InputKind
from lightning_modules.families import FAMILIES
from lightning_modules.module import SupervisedModule
from lightning_modules.optimizers import build_optimizer
from lightning_modules.settings import number_fields
from tests.contracts.inputs import SHAPES, facts, kinds_of, rows, targets, tasks_of

N_ROWS = 6
OURS = [name for name, family in FAMILIES.items() if not family.whole]
RATES = {"sgd": 0.05, "adam": 0.01, "adamw": 0.01, "adagrad": 0.05, "rmsprop": 0.003}
SMALL: dict[str, Any] = {
    "n_layers": 2,
    "n_stages": 2,
    "n_members": 3,
    "width": 16,
    "n_heads": 2,
    "growth": 1.0,
    "dropout": 0.25,
}
Case = tuple[str, InputKind]
CASES: list[Case] = [(name, kind) for name in OURS for kind in kinds_of(name)]
CASE_TASKS = [(case, task) for case in CASES for task in tasks_of(case[1])]


def choices(family: str) -> list[dict[str, Any]]:
    """Return no setting, then each other choice that a field of the family has, one at a time."""
    model = FAMILIES[family].config
    found: list[dict[str, Any]] = [{}]
    for name, field in model.model_fields.items():
        offered = (True, False) if field.annotation is bool else ()
        if get_origin(field.annotation) is Literal:
            offered = get_args(field.annotation)
        found += [{name: choice} for choice in offered if choice != getattr(model(), name)]
    return found


BY_EVERY_OPTIMIZER: list[Case] = [("mlp", "features"), ("cnn", "image"), ("lstm", "sequence")]
CASE_CHOICES = [((name, kinds_of(name)[0]), chosen) for name in OURS for chosen in choices(name)]


def having(family: str, **settings: Any) -> dict[str, Any]:
    """Return the model section of a small net, with those of ``settings`` that it has."""
    fields = FAMILIES[family].config.model_fields
    chosen = {name: value for name, value in (SMALL | settings).items() if name in fields}
    return {"family": family, **chosen}


def numbers_at(family: str, value: float) -> dict[str, Any]:
    """Return every number of the family's config, at ``value``."""
    return dict.fromkeys(number_fields(FAMILIES[family].config), value)


def module_of(
    case: Case, *, kind: str = "multiclass", optimizer: str = "adamw", **settings: Any
) -> SupervisedModule:
    family, inputs = case
    config = RunConfig.model_validate(
        {
            "task": {"kind": kind},
            "data": {"source": "iris"},
            "model": having(family, **settings),
            "optimizer": {"name": optimizer, "lr": RATES.get(optimizer, 0.01)},
        }
    )
    torch.manual_seed(0)
    return SupervisedModule(config, facts(inputs, kind))


def batch_of(case: Case, kind: str = "multiclass") -> tuple[Tensor, Tensor]:
    return rows(case[1], N_ROWS), targets(kind, N_ROWS)


def pure_loss(module: SupervisedModule, batch: tuple[Tensor, Tensor], step: int = 0) -> Tensor:
    params = dict(module.network.named_parameters())
    buffers = dict(module.network.named_buffers())
    noise = module.noise(N_ROWS, step)
    return module.loss(params, buffers, batch, noise, module.numbers)[0]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_task = pytest.mark.parametrize(("case", "kind"), CASE_TASKS, ids=str)
every_choice = pytest.mark.parametrize(("case", "chosen"), CASE_CHOICES, ids=str)


def test_there_is_a_family_for_every_kind_of_data() -> None:
    assert {kind for _, kind in CASES} == set(SHAPES)


@pytest.mark.parametrize("family", OURS)
def test_a_family_is_registered_under_the_name_in_its_config(family: str) -> None:
    assert FAMILIES[family].config().model_dump()["family"] == family


@pytest.mark.parametrize("family", OURS)
def test_every_field_but_the_name_is_a_shape_or_a_number(family: str) -> None:
    fields = FAMILIES[family].config.model_fields
    extras = {name: info.json_schema_extra for name, info in fields.items() if name != "family"}
    roles = {name: extra.get("role") for name, extra in extras.items() if isinstance(extra, dict)}
    assert set(roles) == set(extras)
    assert set(roles.values()) <= {"shape", "number"}, roles


@every_task
def test_the_default_config_gives_outputs_for_every_row(case: Case, kind: str) -> None:
    family, inputs = case
    config = RunConfig.model_validate(
        {"task": {"kind": kind}, "data": {"source": "iris"}, "model": {"family": family}}
    )
    known = facts(inputs, kind)
    outputs = SupervisedModule(config, known)(rows(inputs, N_ROWS))
    assert outputs.shape == (N_ROWS, known.n_outputs)
    assert bool(outputs.isfinite().all())


def without_gradient(module: SupervisedModule, batch: tuple[Tensor, Tensor]) -> list[str]:
    """Return the parameters that one step gives no gradient, or one that is not finite."""
    pure_loss(module, batch).backward()
    gradients = {name: p.grad for name, p in module.network.named_parameters()}
    return [name for name, g in gradients.items() if g is None or not g.isfinite().all()]


@every_task
def test_every_parameter_receives_a_finite_gradient(case: Case, kind: str) -> None:
    assert without_gradient(module_of(case, kind=kind), batch_of(case, kind)) == []


@every_choice
def test_every_choice_leaves_each_parameter_a_finite_gradient(
    case: Case, chosen: dict[str, Any]
) -> None:
    assert without_gradient(module_of(case, **chosen), batch_of(case)) == []


@every_task
def test_the_pure_step_equals_the_training_step(case: Case, kind: str) -> None:
    module, batch = module_of(case, kind=kind), batch_of(case, kind)
    assert torch.equal(pure_loss(module, batch), module.training_step(batch, 0))


@every_choice
def test_the_pure_step_equals_the_training_step_whatever_was_chosen(
    case: Case, chosen: dict[str, Any]
) -> None:
    module, batch = module_of(case, **chosen), batch_of(case)
    assert torch.equal(pure_loss(module, batch), module.training_step(batch, 0))


def last_loss(case: Case, *, kind: str, optimizer: str = "adamw", **settings: Any) -> float:
    """Train on one batch until it is known, 150 steps at most; return the loss."""
    wide = numbers_at(case[0], 0.0) | {"width": 32} | settings
    module, batch = module_of(case, kind=kind, optimizer=optimizer, **wide), batch_of(case, kind)
    assert module.config.optimizer is not None
    steps = build_optimizer(module.config.optimizer, module.network, n_steps=150)
    loss = torch.tensor(torch.inf)
    for _ in range(150):
        steps.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        steps.step()
        if loss.detach() < 0.01:
            break
    return loss.item()


@every_task
def test_a_network_memorises_one_batch(case: Case, kind: str) -> None:
    assert last_loss(case, kind=kind) < 0.05


@every_choice
def test_a_network_memorises_one_batch_whatever_was_chosen(
    case: Case, chosen: dict[str, Any]
) -> None:
    assert last_loss(case, kind="multiclass", **chosen) < 0.05


@pytest.mark.parametrize("optimizer", RATES)
@pytest.mark.parametrize("case", BY_EVERY_OPTIMIZER, ids=str)
def test_every_optimizer_memorises_one_batch(case: Case, optimizer: str) -> None:
    assert last_loss(case, kind="multiclass", optimizer=optimizer) < 0.05


@pytest.mark.parametrize("case", [case for case in CASES if case[1] == "sequence"], ids=str)
@pytest.mark.parametrize("level", ["mean", "last", "none"])
def test_a_forecast_moves_with_its_series(case: Case, level: str) -> None:
    task = {"kind": "forecasting", "level": level}
    config = {"task": task, "data": {"source": "iris"}, "model": having(case[0])}
    known = facts(case[1], "forecasting")
    module = SupervisedModule(RunConfig.model_validate(config), known).eval()
    x = rows(case[1], N_ROWS)
    up = torch.tensor([100.0, *[0.0] * (x.shape[-1] - 1)])
    moves = torch.allclose(module(x + up), module(x) + 100.0, atol=1e-3)
    assert moves == (level != "none")


@every_case
def test_equal_seeds_give_equal_weights(case: Case) -> None:
    one, other = (module_of(case).network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


@every_case
def test_weights_go_into_a_fresh_network_and_give_the_same_outputs(case: Case) -> None:
    one = module_of(case, norm="batch").eval()
    other = module_of(case, norm="batch").eval()
    for weight in other.network.parameters():
        nn.init.constant_(weight, 0.5)
    other.network.load_state_dict(one.network.state_dict())
    x, _ = batch_of(case)
    assert torch.equal(one(x), other(x))


@every_choice
def test_a_row_is_judged_by_itself(case: Case, chosen: dict[str, Any]) -> None:
    module = module_of(case, **chosen).eval()
    x, _ = batch_of(case)
    torch.testing.assert_close(module(x)[:1], module(x[:1]))


@every_case
def test_noise_changes_a_step_and_nothing_else_does(case: Case) -> None:
    module, batch = module_of(case, **numbers_at(case[0], 0.5)), batch_of(case)
    if not module.takes_noise:
        pytest.skip("takes no noise")
    losses = [pure_loss(module, batch, step).item() for step in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@every_case
def test_a_probability_of_0_is_the_same_as_no_noise(case: Case) -> None:
    module, (x, _) = module_of(case), batch_of(case)
    if not module.takes_noise:
        pytest.skip("takes no noise")
    noise = module.noise(N_ROWS, 0)
    assert noise
    zeros = dict.fromkeys(module.numbers, 0.0)
    assert torch.equal(module.network(x, noise, zeros), module.network(x))


# 2026-11: torch 2.13 stacks the members of an LSTM one by one, and says so.
@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@every_choice
def test_members_that_are_stacked_step_as_they_would_alone(
    case: Case, chosen: dict[str, Any]
) -> None:
    if chosen.get("norm") == "batch":
        pytest.skip("running statistics are no function of the weights")
    if chosen.get("kernel") == 1:
        pytest.skip("torch takes 1 by 1 weights for channels-last ones, which cannot be stacked")
    module, batch = module_of(case, **({"norm": "layer"} | chosen)), batch_of(case)
    noise = module.noise(N_ROWS, 0)
    params = dict(module.network.named_parameters())
    # Contiguous: vmap cannot clone the channels-last layout that a solo network has.
    members = [
        {name: scale * p.detach().contiguous() for name, p in params.items()}
        for scale in (0.5, 1.0)
    ]

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return module.loss(weights, {}, batch, noise, module.numbers)[0]

    stacked = {name: torch.stack([member[name] for member in members]) for name in params}
    together = torch.func.vmap(torch.func.grad(loss))(stacked)
    alone = [torch.func.grad(loss)(member) for member in members]
    for name, i in itertools.product(params, range(2)):
        torch.testing.assert_close(together[name][i], alone[i][name], rtol=1e-4, atol=1e-5)
