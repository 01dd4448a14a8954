"""Try a config on one batch before a study spends hours on it."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_modules.build import RunData, build_module
from lightning_modules.config import RunConfig
from lightning_modules.errors import HpoError, UsageError
from lightning_modules.registry import suggest
from lightning_modules.seeds import derive
from lightning_modules.steps import use_lean_steps
from lightning_modules.train import make_trainer, quiet_lightning, seed_everything, steady_threads


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What one batch showed."""

    n_parameters: int
    n_batches: int
    """Training batches of an epoch."""
    epoch_s: float
    """Seconds of an epoch with its validation, extrapolated from a few batches."""


class _Timer(pl.Callback):
    """Time training batches after the first, and the validation."""

    def __init__(self) -> None:
        self.batches: list[float] = []
        self.validation_s = 0.0
        self._started = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Keep the time of the batch."""
        self.batches.append(time.perf_counter() - self._started)

    def on_validation_start(self, *_: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_validation_end(self, *_: Any) -> None:
        """Keep the time of the validation batches."""
        self.validation_s = time.perf_counter() - self._started


def try_config(config: RunConfig, data: RunData, *, n_batches: int = 1) -> Probe:
    """Train ``n_batches`` batches and validate one; leave nothing behind.

    Raises:
        UsageError: if that fails in any way, or the objective's metric is never logged.
    """
    where = f"model.family {config.family}"
    timer = _Timer()
    with tempfile.TemporaryDirectory() as folder, steady_threads(config.trainer.threads):
        seed_everything(derive(config.seed, "init"))
        try:
            module = build_module(config, data)
            trainer = make_trainer(
                _shortened(config),
                Path(folder),
                callbacks=[timer],
                limit_train_batches=n_batches,
                limit_val_batches=1,
            )
            use_lean_steps(trainer, module)
            with quiet_lightning():
                trainer.fit(module, datamodule=data.module(config))
        except HpoError:
            raise
        except Exception as error:
            lines = str(error).splitlines() or ["no message"]
            what = f"one batch does not train: {type(error).__name__}: {lines[0]}"
            raise UsageError(where, what, "correct the module or its settings") from error
    logged = sorted(trainer.callback_metrics)
    if config.monitor not in logged:
        what = f"{config.objective.metric!r} is never logged"
        raise UsageError("objective.metric", what, suggest(config.objective.metric, logged))
    whole_epoch = _n_batches(data, config, trainer)
    steady = timer.batches[1:] or timer.batches
    batch_s = sum(steady) / len(steady) if steady else 0.0
    return Probe(
        n_parameters=sum(p.numel() for p in module.parameters()),
        n_batches=whole_epoch,
        epoch_s=batch_s * whole_epoch + timer.validation_s,
    )


def _shortened(config: RunConfig) -> RunConfig:
    plain = config.plain()
    one = {"max_epochs": 1, "validate_every": 1, "early_stopping": None, "processes": 1}
    trainer = {**plain["trainer"], **one}
    return RunConfig.model_validate({**plain, "trainer": trainer})


def _n_batches(data: RunData, config: RunConfig, trainer: pl.Trainer) -> int:
    loader: Any = trainer.train_dataloader
    try:
        return len(loader)
    except TypeError:
        return max(int(trainer.num_training_batches), 1)
