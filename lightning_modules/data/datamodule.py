"""TaskData: prepared rows as loaders of one run, with its batch size and seed."""

import pytorch_lightning as pl
import torch

from lightning_modules.data.augment import Augmentation, check_augment
from lightning_modules.data.augment_config import NOT_AUGMENTED, AugmentConfig
from lightning_modules.data.batches import ALL, Batches
from lightning_modules.data.config import SourceConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.prepare import InputKind, Preparation
from lightning_modules.data.prepared import NEXT_STEPS, PreparedData, Rows, prepare_task
from lightning_modules.data.resident import resident
from lightning_modules.data.target import Target
from lightning_modules.errors import DataError
from lightning_modules.task import ForecastingConfig


class TaskData(pl.LightningDataModule):
    """The data of one run; cheap to make, because the tensors are shared.

    Args:
        prepared: what ``prepare_task`` returned, once per study.
        batch_size: rows of a training batch; validation and test use at least 1024.
        seed: decides the order of training rows in each epoch, and what augmentation draws.
        augment: how training batches are changed.
        balanced: whether each epoch has as many rows of each class.

    Raises:
        DataError: if a setting of ``augment`` has no effect on these data.
    """

    def __init__(
        self,
        prepared: PreparedData,
        *,
        batch_size: int,
        seed: int,
        augment: AugmentConfig = NOT_AUGMENTED,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        check_augment(augment, prepared)
        self.augment = augment
        self.balanced = balanced
        self.prepared = prepared
        self.batch_size = batch_size
        self.seed = seed
        self.input_shape: tuple[int, ...] = prepared.input_shape
        self.input_kind: InputKind = prepared.input_kind
        self.n_outputs: int = prepared.n_outputs
        self.classes: list[str] | None = prepared.classes
        self.class_counts: list[int] | None = prepared.class_counts
        self.preparation: Preparation = prepared.fitted.preparation
        self.target: Target = prepared.fitted.target
        self.n_rows: dict[str, int] = prepared.n_rows
        self.data_sha256: str = prepared.data_sha256
        self.split_sha256: str = prepared.split_sha256
        self.preparation_sha256: str = prepared.preparation_sha256
        self._resident: dict[int, Rows] = {}
        """Splits on the device that trains, by the identity of their rows."""

    @classmethod
    def load(
        cls,
        config: SourceConfig,
        *,
        task_kind: str,
        batch_size: int,
        seed: int,
        with_test: bool = False,
        preparation: Fitted | None = None,
        forecast: ForecastingConfig = NEXT_STEPS,
    ) -> "TaskData":
        """Prepare and wrap in one call, for a single run; see ``prepare_task``.

        Raises:
            DataError: if the data cannot be what the config says.
        """
        prepared = prepare_task(
            config,
            task_kind=task_kind,
            with_test=with_test,
            fitted=preparation,
            forecast=forecast,
        )
        return cls(prepared, batch_size=batch_size, seed=seed, augment=config.augment)

    def train_dataloader(self) -> Batches:
        """Return training batches, shuffled anew in each epoch; of several processes, a share.

        Augmented ones lie on the device that trains.
        """
        rows, trainer = self._on_device(self.prepared.train), self.trainer
        augment = None
        if self.augment != NOT_AUGMENTED:
            device = torch.device("cpu") if trainer is None else trainer.strategy.root_device
            augment = Augmentation(self.augment, self.prepared, device=device)
        return Batches(
            rows.x,
            rows.y,
            batch_size=self.batch_size,
            shuffle=True,
            seed=self.seed,
            share=ALL if trainer is None else (trainer.global_rank, trainer.world_size),
            augment=augment,
            balanced=self.balanced,
        )

    def val_dataloader(self) -> Batches:
        """Return validation batches, in the order of the rows."""
        return self._in_order(self.prepared.validation)

    def test_dataloader(self) -> Batches:
        """Return test batches, in the order of the rows.

        Raises:
            DataError: if the test rows were not prepared: only an evaluation may see them.
        """
        if self.prepared.test is None:
            raise DataError(
                "test split", "its rows were not prepared", "load the data with with_test=True"
            )
        return self._in_order(self.prepared.test)

    def _on_device(self, rows: Rows) -> Rows:
        """Return rows where they are trained, if that is a GPU on which they fit; moved once."""
        if self.trainer is None or self.trainer.strategy.root_device.type != "cuda":
            return rows
        if id(rows) not in self._resident:
            x, y = resident(rows.x, rows.y, self.trainer.strategy.root_device)
            self._resident[id(rows)] = Rows(x=x, y=y)
        return self._resident[id(rows)]

    def _in_order(self, rows: Rows) -> Batches:
        rows = self._on_device(rows)
        return Batches(rows.x, rows.y, batch_size=self.batch_size, shuffle=False, seed=self.seed)
