from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from lightning_modules import plugins
from lightning_modules.build import build_module, open_data
from lightning_modules.config import RunConfig
from lightning_modules.criterion import class_weights
from lightning_modules.data.facts import DataFacts
from lightning_modules.families import FAMILIES, Family
from lightning_modules.module import SupervisedModule, step_numbers
from lightning_modules.seeds import derive
from lightning_modules.settings import Settings
from lightning_modules.task import METRICS, TASKS
from lightning_modules.train import seed_everything, train

MakeConfig = Callable[..., RunConfig]
FACTS = {
    "binary": DataFacts(input_shape=(4,), n_outputs=1, class_counts=[6, 2]),
    "multiclass": DataFacts(input_shape=(4,), n_outputs=3, class_counts=[4, 2, 2]),
    "multilabel": DataFacts(input_shape=(4,), n_outputs=3, label_counts=[[6, 2], [4, 4], [0, 8]]),
    "regression": DataFacts(input_shape=(4,), n_outputs=1, target_mean=10.0, target_sd=2.0),
    "forecasting": DataFacts(input_shape=(4,), n_outputs=3, target_mean=10.0, target_sd=2.0),
}
Batch = tuple[Tensor, Tensor]


def batch_of(kind: str, n_rows: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n_rows, 4, generator=generator)
    classes = torch.arange(n_rows) % (2 if kind == "binary" else 3)
    if kind in ("multilabel", "forecasting"):
        return x, (x[:, :3] > 0).float()
    return x, x.sum(1) if kind == "regression" else classes


def module_of(config: RunConfig) -> SupervisedModule:
    torch.manual_seed(0)
    return SupervisedModule(config, FACTS[str(config.kind)])


def state_of(module: SupervisedModule) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    params = {name: p.detach().clone() for name, p in module.network.named_parameters()}
    return params, {name: b.clone() for name, b in module.network.named_buffers()}


class Bare(nn.Module):
    """A network that takes nothing but its input, as a plugin's may."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x)
        return out


class BareConfig(Settings):
    family: Literal["bare"] = "bare"


@pytest.fixture
def bare(registries: None, make_config: MakeConfig) -> SupervisedModule:
    FAMILIES.register("bare")(Family(config=BareConfig, builder=lambda c, shape, n: Bare()))
    return module_of(make_config(model={"family": "bare"}))


@pytest.mark.parametrize("kind", TASKS)
def test_predictions_are_probabilities_or_numbers(kind: str, make_config: MakeConfig) -> None:
    module = module_of(make_config(task={"kind": kind}))
    predicted = module.predict(module(batch_of(kind)[0]))
    assert predicted.shape == {"binary": (8, 2), "regression": (8,)}.get(kind, (8, 3))


def test_numbers_are_predicted_and_judged_in_the_targets_own_units(make_config: MakeConfig) -> None:
    module = module_of(make_config(task={"kind": "regression"}))
    scaled = torch.tensor([[0.0], [1.0], [-0.5]])
    assert module.predict(scaled).tolist() == [10.0, 12.0, 9.0]
    assert torch.equal(module.truth(scaled[:, 0]), module.predict(scaled))


def test_several_numbers_are_predicted_and_judged_each_in_its_own_units(
    make_config: MakeConfig,
) -> None:
    facts = DataFacts(
        input_shape=(4,), n_outputs=2, target_mean=[10.0, 0.0], target_sd=[2.0, 100.0]
    )
    module = SupervisedModule(make_config(task={"kind": "regression"}), facts)
    scaled = torch.tensor([[0.0, 1.0], [1.0, -0.5]])
    assert module.predict(scaled).tolist() == [[10.0, 100.0], [12.0, -50.0]]
    assert torch.equal(module.truth(scaled), module.predict(scaled))
    module.validation_step((torch.zeros(2, 4), scaled), 0)
    assert module.collect()[0].shape == (2, 2)


@torch.inference_mode()
def test_several_numbers_have_the_mean_of_their_losses(make_config: MakeConfig) -> None:
    facts = DataFacts(input_shape=(4,), n_outputs=2, target_mean=[0.0, 0.0], target_sd=[1.0, 1.0])
    module = SupervisedModule(make_config(task={"kind": "regression"}), facts)
    outputs, targets = torch.zeros(3, 2), torch.tensor([[1.0, 2.0]]).expand(3, 2)
    assert module.measure_all(outputs, targets, everything=False)["loss"] == (1 + 4) / 2


def test_a_column_of_one_number_is_judged_row_by_row(make_config: MakeConfig) -> None:
    module = module_of(make_config(task={"kind": "regression"}))
    column = torch.tensor([[0.0], [1.0], [-0.5]])
    assert torch.equal(module.truth(column), module.predict(column))


def test_labels_are_weighed_one_by_one(make_config: MakeConfig) -> None:
    task = {"kind": "multilabel", "class_weights": "balanced"}
    weights = module_of(make_config(task=task)).get_buffer("class_weights")
    assert torch.equal(weights, torch.tensor([[8 / 12, 1.0, 1.0], [2.0, 1.0, 1.0]]))


def test_classes_are_their_own_truth(make_config: MakeConfig) -> None:
    targets = torch.tensor([0, 2, 1])
    assert module_of(make_config()).truth(targets) is targets


def test_the_pure_step_depends_on_its_arguments_alone(make_config: MakeConfig) -> None:
    config = make_config(model={"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch"})
    module, batch = module_of(config), batch_of("multiclass")
    params, buffers = state_of(module)
    noise = module.noise(8, 0)
    first = module.loss(params, buffers, batch, noise, module.numbers)[0]
    with torch.no_grad():
        for weight in module.network.parameters():
            weight.zero_()
    _, fresh = state_of(module)
    again = module.loss(params, fresh, batch, noise, module.numbers)[0]
    assert torch.equal(first, again)


def test_the_pure_step_updates_the_buffers_given_and_not_its_own(make_config: MakeConfig) -> None:
    config = make_config(model={"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch"})
    module = module_of(config)
    params, buffers = state_of(module)
    before = {name: buffer.clone() for name, buffer in buffers.items()}
    _, after, _ = module.loss(params, buffers, batch_of("multiclass"), {}, module.numbers)
    _, own = state_of(module)
    assert all(not torch.equal(after[name], before[name]) for name in before)
    assert all(torch.equal(own[name], before[name]) for name in before)


def test_the_pure_step_gives_the_outputs_of_the_network(make_config: MakeConfig) -> None:
    module, batch = module_of(make_config()), batch_of("multiclass")
    params, buffers = state_of(module)
    _, _, outputs = module.loss(params, buffers, batch, {}, module.numbers)
    assert torch.equal(outputs, module(batch[0]))


def test_a_network_that_takes_no_noise_has_the_same_steps(bare: SupervisedModule) -> None:
    batch = batch_of("multiclass")
    params, buffers = state_of(bare)
    assert bare.noise(8, 0) == {}
    pure = bare.loss(params, buffers, batch, {}, bare.numbers)[0]
    assert torch.equal(pure, bare.training_step(batch, 0))


def test_numbers_are_inputs_of_the_step(make_config: MakeConfig) -> None:
    module, batch = module_of(make_config()), batch_of("multiclass")
    params, buffers = state_of(module)
    sharp, smooth = (
        module.loss(params, buffers, batch, {}, module.numbers | {"label_smoothing": share})[0]
        for share in (0.0, 0.5)
    )
    assert not torch.equal(sharp, smooth)


def test_step_numbers_come_from_the_config(make_config: MakeConfig) -> None:
    smooth = {"kind": "multiclass", "loss": {"name": "cross_entropy", "label_smoothing": 0.25}}
    assert step_numbers(make_config(model={"family": "mlp", "dropout": 0.5}, task=smooth)) == {
        "dropout": 0.5,
        "label_smoothing": 0.25,
        "delta": 1.0,
    }
    huber = {"kind": "regression", "loss": {"name": "huber", "delta": 2.0}}
    assert step_numbers(make_config(task=huber))["delta"] == 2.0
    focal = {"kind": "multiclass", "loss": {"name": "focal", "gamma": 0.5}}
    assert step_numbers(make_config(task=focal))["gamma"] == 0.5


def test_noise_is_a_function_of_the_runs_seed_and_the_step(make_config: MakeConfig) -> None:
    one, same, other = (module_of(make_config(seed=seed)) for seed in (0, 0, 1))
    first = one.noise(8, 3)["dropout.0"]
    assert torch.equal(first, same.noise(8, 3)["dropout.0"])
    assert not torch.equal(first, one.noise(8, 4)["dropout.0"])
    assert not torch.equal(first, other.noise(8, 3)["dropout.0"])


def test_no_dropout_draws_no_noise(make_config: MakeConfig) -> None:
    assert module_of(make_config(model={"family": "mlp", "dropout": 0.0})).noise(8, 0) == {}


def test_balanced_weights_come_from_the_training_rows(make_config: MakeConfig) -> None:
    task = {"kind": "multiclass", "class_weights": "balanced"}
    weights = module_of(make_config(task=task)).get_buffer("class_weights")
    assert torch.equal(weights, class_weights([4, 2, 2]))
    assert module_of(make_config()).class_weights is None


def test_class_weights_are_no_part_of_the_checkpoint(make_config: MakeConfig) -> None:
    task = {"kind": "multiclass", "class_weights": "balanced"}
    weighted, plain = (module_of(make_config(task=t)) for t in (task, {"kind": "multiclass"}))
    assert weighted.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("kind", TASKS)
@torch.inference_mode()
def test_a_split_is_measured_whole_however_it_is_batched(
    kind: str, make_config: MakeConfig
) -> None:
    module = module_of(make_config(task={"kind": kind})).eval()
    x, y = batch_of(kind)
    measured = []
    for size in (3, 8):
        for part in zip(x.split(size), y.split(size), strict=True):
            module.validation_step(part, 0)
        measured.append(module.measure(everything=True))
    assert measured[0] == pytest.approx(measured[1])
    known = (n for n in METRICS if kind in METRICS[n].kinds and not METRICS[n].takes)
    assert set(measured[0]) == {"loss", *known}


@torch.inference_mode()
def test_a_measured_split_is_forgotten(make_config: MakeConfig) -> None:
    module = module_of(make_config())
    module.validation_step(batch_of("multiclass"), 0)
    module.measure(everything=False)
    module.validation_step(batch_of("multiclass", 3), 0)
    assert len(module.collect()[0]) == 3


@torch.inference_mode()
def test_the_validation_loss_is_not_smoothed(make_config: MakeConfig) -> None:
    losses = []
    for share in (0.0, 0.5):
        loss = {"name": "cross_entropy", "label_smoothing": share}
        module = module_of(make_config(task={"kind": "multiclass", "loss": loss}))
        module.validation_step(batch_of("multiclass"), 0)
        losses.append(module.measure(everything=False)["loss"])
    assert losses[0] == losses[1]


def test_an_optimizer_is_needed(make_config: MakeConfig) -> None:
    module = SupervisedModule(
        make_config().model_copy(update={"optimizer": None}), FACTS["multiclass"]
    )
    with pytest.raises(TypeError, match="always has an optimizer and a schedule"):
        module.configure_optimizers()


def test_a_regression_needs_a_loss(make_config: MakeConfig) -> None:
    class Lossless(Settings):
        kind: Literal["regression"] = "regression"

    config = make_config(task={"kind": "regression"}).model_copy(update={"task": Lossless()})
    module = SupervisedModule(config, FACTS["regression"])
    with pytest.raises(TypeError, match="a regression task always has a loss"):
        module.training_step(batch_of("regression"), 0)


@pytest.mark.parametrize("family", ["mlp", "tabm"])
def test_the_objective_of_trained_rows_is_that_of_what_was_put_out(
    make_config: MakeConfig, tmp_path: Path, family: str
) -> None:
    config = make_config(
        model={"family": family, "dropout": 0.0},
        optimizer={"name": "sgd", "lr": 1e-30, "momentum": 0.0},
        objective={"metric": "f1"},
        trainer={"max_epochs": 1, "batch_size": 16},
    )
    metrics = train(config, tmp_path).metrics
    data = open_data(config)
    assert data.prepared is not None
    seed_everything(derive(config.seed, "init"))
    module = build_module(config, data)
    assert isinstance(module, SupervisedModule)
    rows = data.prepared.train
    module._seen.append((module(rows.x).detach(), rows.y))
    measured = module.measure(everything=False)
    assert metrics["train/f1"] == pytest.approx(measured["f1"], abs=1e-6)
    assert metrics["train/loss"] > 0


def test_mixed_rows_and_functions_of_plugins_are_not_measured_while_training(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    calls: list[int] = []

    def counted(outputs: Tensor, targets: Tensor) -> float:
        calls.append(len(targets))
        return 0.5

    plugins.metric("counted", direction="maximize")(counted)
    own = train(make_config(objective={"metric": "counted"}), tmp_path / "own")
    assert len(set(calls)) == 1  # of the validation alone
    mixed = make_config(data={"source": "iris", "augment": {"mixup": 0.4}})
    for result in (own, train(mixed, tmp_path / "mixed")):
        measured = {name for name in result.metrics if name.startswith("train/")}
        assert measured == {"train/grad_norm", "train/loss", "train/lr"}
