import csv
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_modules import plugins
from lightning_modules.build import build_module, open_data
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SOURCES, Source
from lightning_modules.data.fitted import Fitted
from lightning_modules.errors import TrialFailed
from lightning_modules.families import FAMILIES, Family
from lightning_modules.module import SupervisedModule
from lightning_modules.optim import SCHEDULES
from lightning_modules.result import TIMED, Command, Validation
from lightning_modules.seeds import derive
from lightning_modules.settings import Settings
from lightning_modules.train import seed_everything, steady_threads, train
from lightning_modules.watch import Abandoned
from tests.programs import Programs

MakeConfig = Callable[..., RunConfig]
LOUD = {"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch", "dropout": 0.5}
"""A network whose every step draws noise and changes buffers."""
RESULT = ["best.ckpt", "config.json", "curve.csv", "preparation.json"]
"""The files of a run that came to its end."""


class Listening:
    """Keep every report; answer ``answer`` at the ``at``-th validation, or ``batch`` at a batch."""

    def __init__(
        self,
        *,
        at: int = 0,
        answer: Command = Command.CONTINUE,
        batch: int = 0,
    ) -> None:
        self.at, self.answer, self.batch = at, answer, batch
        self.validations: list[Validation] = []
        self.batches = 0

    def validated(self, validation: Validation) -> Command:
        self.validations.append(validation)
        return self.answer if len(self.validations) == self.at else Command.CONTINUE

    def batch_ended(self) -> Command:
        self.batches += 1
        return Command.ABANDON if self.batches == self.batch else Command.CONTINUE


def curve(folder: Path, *, without: tuple[str, ...] = TIMED) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k not in without} for row in rows]


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_checkpoint(folder / "best.ckpt")["state_dict"]
    return state


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_leaves_its_config_curve_weights_and_preparation(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config, folder = make_config(), tmp_path / "a" / "b"
    result = train(config, folder)
    assert sorted(file.name for file in folder.iterdir()) == RESULT
    assert RunConfig.model_validate_json((folder / "config.json").read_text()) == config
    fitted = open_data(config).prepared
    assert fitted is not None
    assert Fitted.model_validate_json((folder / "preparation.json").read_text()) == fitted.fitted
    assert result.checkpoint.bytes == (folder / "best.ckpt").stat().st_size


def test_a_result_describes_its_run(make_config: MakeConfig, tmp_path: Path) -> None:
    result = train(make_config(), tmp_path)
    n_parameters = (4 + 1) * 8 + (8 + 1) * 3
    assert (result.n_parameters, result.size_bytes) == (n_parameters, 4 * n_parameters)
    assert (result.epochs_run, result.validations, result.stopped_by) == (2, 2, "max_epochs")
    assert result.steps == 2 * math.ceil(result.data.n_rows["train"] / 16)
    assert result.device == "cpu"
    assert result.latency_ms is not None
    assert result.data.classes == ["setosa", "versicolor", "virginica"]
    assert result.data.majority_class == pytest.approx(1 / 3, abs=0.01)
    json.dumps(result.plain(), allow_nan=False)


def test_a_run_is_the_same_again_whatever_ran_before(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(model=LOUD)
    train(config, tmp_path / "one")
    train(make_config(seed=5), tmp_path / "between")
    torch.rand(7)
    train(config, tmp_path / "two")
    assert equal(weights(tmp_path / "one"), weights(tmp_path / "two"))
    assert curve(tmp_path / "one") == curve(tmp_path / "two")


def test_a_run_is_the_same_in_another_process(
    make_config: MakeConfig, tmp_path: Path, programs: Programs
) -> None:
    config = make_config(model=LOUD, schedule={"name": "cosine"})
    train(config, tmp_path / "here")
    code = f"""
from pathlib import Path
from lightning_modules.config import RunConfig
from lightning_modules.train import train
train(RunConfig.model_validate({config.plain()!r}), Path({str(tmp_path / "there")!r}))
"""
    with programs.start(folder=tmp_path, code=code) as process:
        assert process.wait() == 0, process.err
    assert equal(weights(tmp_path / "here"), weights(tmp_path / "there"))
    assert curve(tmp_path / "here") == curve(tmp_path / "there")


def test_another_seed_is_another_run(make_config: MakeConfig, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(make_config(seed=seed), tmp_path / str(seed))
    assert not equal(weights(tmp_path / "0"), weights(tmp_path / "1"))


def test_data_that_were_opened_before_make_no_difference(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config()
    train(config, tmp_path / "opened", data=open_data(config))
    train(config, tmp_path / "opens")
    assert equal(weights(tmp_path / "opened"), weights(tmp_path / "opens"))


def test_a_listener_makes_no_difference(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(model=LOUD)
    train(config, tmp_path / "heard", report=Listening())
    train(config, tmp_path / "alone")
    assert equal(weights(tmp_path / "heard"), weights(tmp_path / "alone"))


@pytest.mark.parametrize(
    ("task", "data"),
    [
        ({"kind": "multiclass"}, {"source": "iris"}),
        ({"kind": "binary", "class_weights": "balanced"}, {"source": "breast_cancer"}),
        ({"kind": "regression"}, {"source": "diabetes"}),
    ],
    ids=lambda section: section.get("kind", ""),
)
def test_the_best_checkpoint_scores_what_the_record_says(
    task: dict[str, str], data: dict[str, str], make_config: MakeConfig, tmp_path: Path
) -> None:
    rates = {"name": "adamw", "lr": 0.05}
    config = make_config(task=task, data=data, model=LOUD, optimizer=rates)
    result = train(config, tmp_path)
    opened = open_data(config)
    module = build_module(config, opened)
    assert isinstance(module, SupervisedModule)
    module.load_state_dict(weights(tmp_path))
    module.eval()
    with torch.inference_mode():
        for i, batch in enumerate(opened.module(config).val_dataloader()):
            module.validation_step(batch, i)
        measured = module.measure(everything=False)
    assert measured[config.objective.metric] == result.value
    assert {f"val/{k}": v for k, v in measured.items()}.items() <= result.metrics.items()


def test_the_curve_is_what_was_reported(make_config: MakeConfig, tmp_path: Path) -> None:
    listener = Listening()
    result = train(make_config(), tmp_path, report=listener)
    rows = curve(tmp_path, without=())
    assert len(rows) == len(listener.validations) == result.validations
    for row, one in zip(rows, listener.validations, strict=True):
        head = [int(row["validation"]), float(row["epoch"]), int(row["step"])]
        assert head == [one.validation, one.epoch, one.step]
        assert float(row["objective"]) == one.objective
        told = {**one.metrics, **one.pace}
        assert {name: float(row[name]) for name in told} == told


def test_the_value_is_that_of_the_best_validation(make_config: MakeConfig, tmp_path: Path) -> None:
    listener = Listening()
    trainer = {"max_epochs": 6, "batch_size": 16}
    result = train(make_config(trainer=trainer), tmp_path, report=listener)
    objectives = [one.objective for one in listener.validations]
    assert result.value == max(objectives)
    assert result.best_validation == 1 + objectives.index(max(objectives))
    best = [one.validation for one in listener.validations if one.best]
    assert best[-1] == result.best_validation
    assert result.metrics == listener.validations[best[-1] - 1].metrics


def test_a_metric_to_minimize_is_best_at_its_lowest(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    listener = Listening()
    config = make_config(objective={"metric": "log_loss"})
    result = train(config, tmp_path, report=listener)
    assert result.value == min(one.objective for one in listener.validations)


def test_the_weights_kept_are_those_of_the_best_validation(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    course: list[float] = []
    plugins.metric("course", direction="maximize")(lambda outputs, targets: course.pop(0))
    for n_epochs in (2, 4):
        course[:] = [0.25, 0.75, 0.5, 0.125]
        trainer = {"max_epochs": n_epochs, "batch_size": 16}
        config = make_config(trainer=trainer, objective={"metric": "course"})
        result = train(config, tmp_path / str(n_epochs))
        assert (result.value, result.best_validation) == (0.75, 2)
    assert equal(weights(tmp_path / "2"), weights(tmp_path / "4"))


@pytest.mark.parametrize("lr", [0.01, 1.0])
def test_of_equal_validations_that_of_the_least_loss_is_the_best(
    registries: None, make_config: MakeConfig, tmp_path: Path, lr: float
) -> None:
    plugins.metric("same", direction="maximize")(lambda outputs, targets: 0.5)
    config = make_config(
        objective={"metric": "same"},
        optimizer={"name": "sgd", "lr": lr},
        trainer={"max_epochs": 4, "batch_size": 16},
    )
    best = train(config, tmp_path).best_validation
    losses = [float(row["val/loss"]) for row in curve(tmp_path)]
    assert losses[best - 1] == min(losses)
    assert best == (4 if lr < 1 else 3)


@pytest.mark.parametrize(
    ("every", "epochs"),
    [(1, [1, 2, 3, 4]), (2, [2, 4]), (3, [3]), (0.5, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4])],
)
def test_validations_come_as_often_as_the_config_says(
    every: float, epochs: list[float], make_config: MakeConfig, tmp_path: Path
) -> None:
    listener = Listening()
    trainer = {"max_epochs": 4, "batch_size": 16, "validate_every": every}
    train(make_config(trainer=trainer), tmp_path, report=listener)
    assert [one.epoch for one in listener.validations] == pytest.approx(epochs)
    assert [one.validation for one in listener.validations] == list(range(1, len(epochs) + 1))


def test_early_stopping_waits_as_long_as_its_patience(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    stopping = {"patience": 2, "min_delta": 1.0}
    trainer = {"max_epochs": 9, "batch_size": 16, "early_stopping": stopping}
    result = train(make_config(trainer=trainer), tmp_path)
    assert (result.stopped_by, result.validations, result.epochs_run) == ("early_stopping", 3, 3)


def test_early_stopping_counts_validations_within_an_epoch(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    stopping = {"patience": 2, "min_delta": 1.0}
    trainer = {"batch_size": 16, "validate_every": 0.5, "early_stopping": stopping}
    result = train(make_config(trainer=trainer), tmp_path)
    assert (result.stopped_by, result.validations, result.epochs_run) == ("early_stopping", 3, 1.5)


@pytest.mark.parametrize("every", [1, 0.5])
def test_a_listener_stops_a_run_which_keeps_what_it_has(
    every: float, make_config: MakeConfig, tmp_path: Path
) -> None:
    trainer = {"max_epochs": 9, "batch_size": 16, "validate_every": every}
    listener = Listening(at=2, answer=Command.STOP)
    result = train(make_config(trainer=trainer), tmp_path, report=listener)
    assert (result.stopped_by, result.validations, result.epochs_run) == ("pruner", 2, 2 * every)
    assert len(listener.validations) == len(curve(tmp_path)) == 2


def test_a_stop_at_the_last_validation_is_the_pruners_too(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    result = train(make_config(), tmp_path, report=Listening(at=2, answer=Command.STOP))
    assert result.stopped_by == "pruner"


def test_a_run_is_abandoned_at_a_validation(make_config: MakeConfig, tmp_path: Path) -> None:
    listener = Listening(at=1, answer=Command.ABANDON)
    with pytest.raises(Abandoned):
        train(make_config(), tmp_path, report=listener)
    assert len(listener.validations) == 1


def test_a_run_is_abandoned_at_the_batch_at_which_it_is_said(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    listener = Listening(batch=3)
    with pytest.raises(Abandoned):
        train(make_config(), tmp_path, report=listener)
    assert (listener.batches, listener.validations) == (3, [])


@pytest.mark.parametrize(
    ("schedule", "batch"),
    [
        *(("constant", batch) for batch in range(1, 18)),
        *(("cosine", batch) for batch in (7, 8)),
        *(("plateau", batch) for batch in (7, 9, 12)),
    ],
)
def test_an_abandoned_run_goes_on_to_the_bits_of_one_that_never_stopped(
    schedule: str, batch: int, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        model=LOUD,
        schedule={"name": schedule, **({"patience": 0} if schedule == "plateau" else {})},
        trainer={"max_epochs": 3, "batch_size": 16, "validate_every": 0.5},
    )
    train(config, tmp_path / "whole")
    with pytest.raises(Abandoned):
        train(config, tmp_path / "twice", report=Listening(batch=batch))
    train(config, tmp_path / "twice")
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "twice"))
    assert curve(tmp_path / "whole") == curve(tmp_path / "twice")
    assert sorted(file.name for file in (tmp_path / "twice").iterdir()) == RESULT


@pytest.mark.parametrize("at", range(1, 5))
def test_early_stopping_counts_the_validations_before_a_run_was_abandoned(
    at: int, make_config: MakeConfig, tmp_path: Path
) -> None:
    stopping = {"patience": 2, "min_delta": 0.05}
    trainer = {"max_epochs": 6, "batch_size": 16, "early_stopping": stopping}
    config = make_config(model=LOUD, trainer=trainer)
    whole = train(config, tmp_path / "whole")
    assert whole.stopped_by == "early_stopping"
    try:
        twice = train(config, tmp_path / "twice", report=Listening(at=at, answer=Command.ABANDON))
    except Abandoned:
        twice = train(config, tmp_path / "twice")
    assert (twice.stopped_by, twice.validations) == ("early_stopping", whole.validations)
    assert curve(tmp_path / "whole") == curve(tmp_path / "twice")


def test_a_run_that_starts_again_keeps_nothing_of_before(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(model=LOUD)
    train(config, tmp_path / "whole")
    with pytest.raises(Abandoned):
        train(config, tmp_path / "again", report=Listening(batch=9))
    (tmp_path / "again" / "last-000001.ckpt").write_bytes(b"damaged")
    with pytest.raises(Abandoned):
        train(config, tmp_path / "again", report=Listening(batch=1))
    assert not (tmp_path / "again" / "best.ckpt").exists()
    assert not (tmp_path / "again" / "curve.csv").exists()
    train(config, tmp_path / "again")
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "again"))


def test_a_loss_that_is_no_number_fails_the_trial(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(
        task={"kind": "regression"},
        data={"source": "diabetes"},
        optimizer={"name": "sgd", "lr": 1e30},
    )
    text = r"non-finite loss in epoch 1 \(lr 1e\+30\); lower the lr or clip the gradient"
    with pytest.raises(TrialFailed, match=text) as caught:
        train(config, tmp_path)
    assert caught.value.reason == "nan"


def test_an_objective_that_is_no_number_fails_the_trial(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    plugins.metric("nothing", direction="maximize")(lambda outputs, targets: math.nan)
    config = make_config(objective={"metric": "nothing"})
    with pytest.raises(TrialFailed, match="non-finite val/nothing in epoch 1") as caught:
        train(config, tmp_path)
    assert caught.value.reason == "nan"
    assert not (tmp_path / "best.ckpt").exists()


def test_another_metric_that_is_no_number_is_left_out_of_the_curve(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    plugins.metric("nothing", direction="maximize")(lambda outputs, targets: math.nan)
    result = train(make_config(), tmp_path)
    assert "val/nothing" not in result.metrics


def test_a_network_too_large_to_build_fails_the_trial(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(model={"family": "mlp", "layers": [10**15]})
    with pytest.raises(TrialFailed, match=r"can't allocate memory.*a smaller batch") as caught:
        train(config, tmp_path)
    assert caught.value.reason == "oom"


class Raising(nn.Module):
    """A network that fails at its first step, as a plugin's may."""

    error: BaseException

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


class RaisingConfig(Settings):
    family: Literal["raising"] = "raising"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "^out of memory; a smaller batch or network fits$"),
        (torch.OutOfMemoryError("GPU full\nmore"), "^GPU full; a smaller batch"),
        (RuntimeError("not enough memory: you tried"), "^not enough memory: you tried; a smaller"),
    ],
)
def test_running_out_of_memory_in_a_step_fails_the_trial(
    error: BaseException, text: str, registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    FAMILIES.register("raising")(Family(config=RaisingConfig, builder=lambda c, s, n: Raising()))
    Raising.error = error
    with pytest.raises(TrialFailed, match=text) as caught:
        train(make_config(model={"family": "raising"}), tmp_path)
    assert caught.value.reason == "oom"


def test_any_other_error_of_a_network_keeps_its_kind(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    FAMILIES.register("raising")(Family(config=RaisingConfig, builder=lambda c, s, n: Raising()))
    Raising.error = RuntimeError("shapes do not match")
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(make_config(model={"family": "raising"}), tmp_path)


class Own(pl.LightningModule):
    """A whole module on four numbers and two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.linear(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_acc", (self.linear(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Dropping(Own):
    """The same with a dropout that draws from the global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))  # type: ignore[assignment]


class ByHand(Own):
    """The same with an optimization of its own, whose step returns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()


class Unvalidated(pl.LightningModule):
    """A module without any validation."""

    training_step = Own.training_step
    configure_optimizers = Own.configure_optimizers

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)


class Rows(pl.LightningDataModule):
    """Twelve rows of four numbers, in batches of four."""

    def train_dataloader(self) -> Any:
        x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=4, shuffle=True)


class ValidatedRows(Rows):
    """The same rows for validation too."""

    def val_dataloader(self) -> Any:
        return DataLoader(self.train_dataloader().dataset, batch_size=12)


class OrderedRows(ValidatedRows):
    """The same rows, always in their order."""

    def train_dataloader(self) -> Any:
        return DataLoader(super().train_dataloader().dataset, batch_size=4)


@pytest.fixture
def own_run(registries: None, make_config: MakeConfig) -> Callable[..., RunConfig]:
    def make(
        module: type[pl.LightningModule],
        data: type[pl.LightningDataModule] = ValidatedRows,
        metric: str = "val_acc",
    ) -> RunConfig:
        plugins.lightning_module("Own")(module)
        plugins.data_module("Rows")(data)
        return make_config(
            task=None,
            model={"family": "Own"},
            data={"source": "Rows"},
            objective={"metric": metric, "direction": "maximize"},
            trainer={"max_epochs": 2},
        )

    return make


def test_a_whole_module_trains_on_its_own_data(
    own_run: Callable[..., RunConfig], tmp_path: Path
) -> None:
    result = train(own_run(Own), tmp_path)
    assert (result.validations, result.steps, result.latency_ms) == (2, 6, None)
    assert result.metrics["train/lr"] == 0.1
    assert "train/loss" in result.metrics
    assert weights(tmp_path)["linear.weight"].shape == (2, 4)
    assert not (tmp_path / "preparation.json").exists()


def test_a_whole_module_may_optimize_by_hand(
    own_run: Callable[..., RunConfig], tmp_path: Path
) -> None:
    result = train(own_run(ByHand), tmp_path)
    assert (result.validations, result.steps) == (2, 6)
    assert "train/loss" not in result.metrics


def test_a_whole_module_is_the_same_again(
    own_run: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = own_run(Own)
    for name in ("one", "two"):
        train(config, tmp_path / name)
        torch.rand(3)
    assert equal(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_a_whole_modules_dropout_is_a_function_of_seed_and_step(
    own_run: Callable[..., RunConfig], tmp_path: Path
) -> None:
    class Drawing(Listening):
        def batch_ended(self) -> Command:
            torch.rand(3)
            return Command.CONTINUE

    config = own_run(Dropping, OrderedRows)
    for name, listener in (("drawing", Drawing()), ("quiet", Listening())):
        train(config, tmp_path / name, report=listener)
    assert equal(weights(tmp_path / "drawing"), weights(tmp_path / "quiet"))


def test_a_metric_that_was_never_logged_fails_the_trial(
    own_run: Callable[..., RunConfig], tmp_path: Path
) -> None:
    text = "'acc' was never logged; logged: val_acc; name a logged metric in objective.metric"
    with pytest.raises(TrialFailed, match=text) as caught:
        train(own_run(Own, metric="acc"), tmp_path)
    assert caught.value.reason == "error"


def test_a_run_without_validation_fails(own_run: Callable[..., RunConfig], tmp_path: Path) -> None:
    text = "no validation took place; give validation rows and a val_dataloader"
    with pytest.raises(TrialFailed, match=text) as caught:
        train(own_run(Unvalidated, Rows), tmp_path)
    assert caught.value.reason == "error"


def test_a_family_of_ours_trains_on_a_users_data_module(
    registries: None, make_config: MakeConfig, tmp_path: Path
) -> None:
    class RowsConfig(Settings):
        source: Literal["Rows"] = "Rows"

    SOURCES.register("Rows")(Source(config=RowsConfig, datamodule=lambda _: ValidatedRows()))
    config = make_config(data={"source": "Rows"}, trainer={"max_epochs": 2})
    result = train(config, tmp_path)
    assert (result.validations, result.steps) == (2, 6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_moves_the_learning_rate_from_step_to_step(
    name: str, make_config: MakeConfig, tmp_path: Path
) -> None:
    settings = {"plateau": {"patience": 0, "factor": 0.5}}.get(name, {})
    config = make_config(
        optimizer={"name": "sgd", "lr": 1e-7},
        schedule={"name": name, **settings},
        trainer={"max_epochs": 3, "batch_size": 16},
    )
    listener = Listening()
    train(config, tmp_path, report=listener)
    rates = [one.metrics["train/lr"] / 1e-7 for one in listener.validations]
    if name == "constant":
        assert rates == [1, 1, 1]
    elif name == "plateau":
        assert rates == pytest.approx([1, 1, 0.5])
    else:
        assert rates[0] > rates[1] > rates[2]
        assert rates[2] == pytest.approx(SCHEDULES[name].config().model_dump()["final"], abs=0.05)


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_a_clipped_gradient_bounds_every_step(
    clip: float | None, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        trainer={"max_epochs": 1, "batch_size": 16, "gradient_clip": clip},
        optimizer={"name": "sgd", "lr": 0.5, "momentum": 0.0},
    )
    result = train(config, tmp_path)
    seed_everything(derive(config.seed, "init"))
    start = build_module(config, open_data(config)).state_dict()
    end = weights(tmp_path)
    moved = torch.cat([(end[name] - start[name]).flatten() for name in start]).norm()
    assert bool(moved <= result.steps * 0.5 * 1e-3) is (clip is not None)


def test_loggers_see_what_is_logged(make_config: MakeConfig, tmp_path: Path) -> None:
    class Seeing(pl.loggers.logger.DummyLogger):
        seen: list[str] = []  # noqa: RUF012

        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            self.seen.extend(metrics)

    train(make_config(), tmp_path, loggers=lambda folder: [Seeing()])
    assert {"val/accuracy", "val/loss", "train/accuracy", "train/grad_norm"} <= set(Seeing.seen)
    assert len(Seeing.seen) == len(set(Seeing.seen)) * 2  # each once at each validation


def test_threads_are_put_back_even_after_an_error() -> None:
    before, inside = torch.get_num_threads(), []

    def fail() -> None:
        with steady_threads(before + 1):
            inside.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (inside, torch.get_num_threads()) == ([before + 1], before)


def test_a_seed_seeds_every_global_generator() -> None:
    drawn = []
    for _ in range(2):
        seed_everything(3)
        drawn.append((random.random(), float(np.random.rand()), float(torch.rand(()))))
    assert drawn[0] == drawn[1]
