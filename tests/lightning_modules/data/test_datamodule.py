from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.data.batches import Batches
from lightning_modules.data.config import DiabetesConfig, IrisConfig
from lightning_modules.data.datamodule import TaskData
from lightning_modules.data.prepared import PreparedData, prepare_task
from lightning_modules.errors import DataError


class Tiny(pl.LightningModule):
    """A linear layer with batch norm that notes what it is given."""

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_outputs))
        self.seen: list[tuple[int, float]] = []
        self.validated = 0

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        self.seen.append((self.current_epoch, float(x.sum())))
        return nn.functional.cross_entropy(self.net(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.validated += len(batch[1])
        self.log("val/loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.validated += len(batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


@pytest.fixture(scope="module")
def iris() -> PreparedData:
    return prepare_task(IrisConfig(), task_kind="multiclass")


def trainer(folder: Path, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"enable_checkpointing": False, "max_epochs": 3, "num_sanity_val_steps": 0, **options},
    )


def fit(iris: PreparedData, folder: Path, *, ckpt: Path | None = None, **options: Any) -> Tiny:
    torch.manual_seed(0)
    module = Tiny(4, 3)
    data = TaskData(iris, batch_size=16, seed=7)
    trainer(folder, **options).fit(module, datamodule=data, ckpt_path=ckpt)
    return module


def test_lightning_trains_on_every_row_in_a_new_order_each_epoch(
    iris: PreparedData, tmp_path: Path
) -> None:
    first, second = fit(iris, tmp_path), fit(iris, tmp_path, num_sanity_val_steps=2)
    assert first.seen == second.seen
    epochs = [[total for epoch, total in first.seen if epoch == number] for number in range(3)]
    assert [len(epoch) for epoch in epochs] == [6, 6, 6]  # 90 rows: 5 of 16, 1 of 10
    assert epochs[0] != epochs[1] != epochs[2]
    assert first.validated == 3 * 30
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_epochs_that_lightning_announces_are_the_orders(
    iris: PreparedData, tmp_path: Path
) -> None:
    seen = fit(iris, tmp_path).seen
    loader = TaskData(iris, batch_size=16, seed=7).train_dataloader()
    expected = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        expected += [(epoch, float(x.sum())) for x, _ in loader]
    assert seen == expected


class Save(pl.Callback):
    """Write one checkpoint, at the given hook and step."""

    def __init__(self, path: Path, hook: str, step: int) -> None:
        self.path, self.hook, self.step = path, hook, step

    def save(self, trainer: pl.Trainer, hook: str) -> None:
        if hook == self.hook and trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        self.save(trainer, "batch")

    def on_validation_end(self, trainer: pl.Trainer, *args: object) -> None:
        self.save(trainer, "validation")

    def on_train_epoch_end(self, trainer: pl.Trainer, *args: object) -> None:
        self.save(trainer, "epoch")


@pytest.mark.parametrize(
    ("hook", "step"),
    [("batch", 1), ("batch", 6), ("batch", 8), ("validation", 6), ("epoch", 6), ("epoch", 12)],
)
def test_a_resumed_training_ends_as_one_that_was_never_stopped(
    iris: PreparedData, tmp_path: Path, hook: str, step: int
) -> None:
    path = tmp_path / "saved.ckpt"
    straight = fit(iris, tmp_path, callbacks=[Save(path, hook, step)])
    resumed = fit(iris, tmp_path, ckpt=path)
    assert resumed.seen == straight.seen[step:]
    for mine, theirs in zip(resumed.parameters(), straight.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_single_last_row_does_not_break_batch_norm(iris: PreparedData, tmp_path: Path) -> None:
    module = Tiny(4, 3)
    trainer(tmp_path, max_epochs=1).fit(module, datamodule=TaskData(iris, batch_size=89, seed=0))
    assert len(module.seen) == 1


def test_the_data_module_tells_what_is_prepared(iris: PreparedData) -> None:
    data = TaskData(iris, batch_size=16, seed=0)
    for name in (
        *("input_shape", "input_kind", "n_outputs", "classes", "class_counts", "n_rows"),
        *("data_sha256", "split_sha256", "preparation_sha256"),
    ):
        assert getattr(data, name) == getattr(iris, name)
    assert data.preparation == iris.fitted.preparation
    assert data.target == iris.fitted.target


def test_the_test_rows_are_closed_unless_they_were_asked_for(
    iris: PreparedData, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="its rows were not prepared; load the data with with_test"):
        TaskData(iris, batch_size=16, seed=0).test_dataloader()
    data = TaskData.load(
        IrisConfig(), task_kind="multiclass", batch_size=16, seed=0, with_test=True
    )
    module = Tiny(4, 3)
    trainer(tmp_path).test(module, datamodule=data, verbose=False)
    assert module.validated == data.n_rows["test"] == 31


def test_a_fitted_preparation_can_be_given(iris: PreparedData) -> None:
    data = TaskData.load(
        IrisConfig(split_seed=3),
        task_kind="multiclass",
        batch_size=16,
        seed=0,
        preparation=iris.fitted,
    )
    assert data.preparation_sha256 == iris.preparation_sha256
    assert data.split_sha256 != iris.split_sha256


def test_regression_batches_are_float32_numbers() -> None:
    data = TaskData.load(DiabetesConfig(), task_kind="regression", batch_size=16, seed=0)
    loader = data.train_dataloader()
    assert isinstance(loader, Batches)
    x, y = next(iter(loader))
    assert (x.shape, y.shape, y.dtype) == ((16, 10), (16,), torch.float32)
