"""The steps of an epoch inside Lightning's Trainer, without the hooks that nobody implements.

For a small network, most of a step of Lightning's own loop is not arithmetic: it looks for hooks,
profiles, keeps what was logged and wraps the optimizer, each time anew. `LeanSteps` does the same
to the same bits, and counts it in the same places, so that checkpoints, callbacks and loggers
cannot tell.
"""

import importlib.metadata
import logging
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from lightning_modules.module import SupervisedModule

LIGHTNING = importlib.metadata.version("pytorch-lightning")
KNOWN = "2.6."
"""The versions of Lightning whose loop this one is checked against; others keep their own."""
CALLED = {"on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end"}
"""The hooks of a step that callbacks may have: those of `Watch` and its like."""
UNCALLED = {
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_validation_batch_start",
    "on_validation_batch_end",
}
_log = logging.getLogger(__name__)


def use_lean_steps(trainer: pl.Trainer, module: pl.LightningModule) -> bool:
    """Let ``trainer`` train ``module`` by lean steps, if all that they leave out is not there.

    That is so for a `SupervisedModule` in one process, under callbacks that are this package's. A
    module of a user's own, or derived from ours, is trained by Lightning's loop.

    Returns:
        Whether it does.
    """
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    callbacks = _callbacks(trainer)
    if not LIGHTNING.startswith(KNOWN):
        _log.warning("Lightning %s is not known here: its own, slower steps train", LIGHTNING)
        return False
    fits = (
        type(module) is SupervisedModule
        and isinstance(trainer.strategy, SingleDeviceStrategy)
        and scaler is None
        and isinstance(getattr(trainer, "profiler", None), PassThroughProfiler)
        and not any(_has(one, hook) for one in callbacks for hook in UNCALLED)
        and all(_is_ours(one) for one in callbacks if any(_has(one, h) for h in CALLED))
    )
    if fits:
        before = trainer.fit_loop.epoch_loop
        trainer.fit_loop.epoch_loop = LeanSteps(trainer, before.min_steps, before.max_steps)
    return fits


class LeanSteps(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch; the first batch after a restart is its own."""

    def __init__(self, trainer: pl.Trainer, min_steps: int | None, max_steps: int) -> None:
        super().__init__(trainer, min_steps, max_steps)
        self._hooks = {
            hook: [getattr(one, hook) for one in _callbacks(trainer) if _has(one, hook)]
            for hook in CALLED
        }
        own = self.val_loop
        self.val_loop = LeanValidation(
            trainer, own._trainer_fn, own._stage, own.verbose, own.inference_mode
        )

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """Train one batch."""
        if self.restarting or isinstance(data_fetcher, _DataLoaderIterDataFetcher):
            super().advance(data_fetcher)
            return
        trainer, progress = self.trainer, self.batch_progress
        module = trainer.lightning_module
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        index = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        device = trainer.strategy.root_device
        if device.type != "cpu":
            batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        progress.increment_ready()
        for started in self._hooks["on_train_batch_start"]:
            started(trainer, module, batch, index)
        progress.increment_started()
        loss = self._train(module, batch, index)
        progress.increment_processed()
        for ended in self._hooks["on_train_batch_end"]:
            ended(trainer, module, {"loss": loss}, batch, index)
        progress.increment_completed()

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Validate if it is time."""
        if self.trainer.loggers or self._skip_next_val or self._may_validate():
            super().on_advance_end(data_fetcher)
        elif not self._should_accumulate():
            self._batches_that_stepped += 1

    def _may_validate(self) -> bool:
        """Return whether Lightning should look if it is time to validate."""
        trainer, every = self.trainer, self.trainer.val_check_batch
        if trainer.should_stop or self.batch_progress.is_last_batch or every is None:
            return True
        return bool((self.batch_idx + 1) % every == 0)

    def _train(self, module: pl.LightningModule, batch: Any, index: int) -> Tensor:
        """Train one batch, make the step that is due, and return the loss."""
        trainer = self.trainer
        optimizer = trainer.optimizers[0]
        every = trainer.accumulate_grad_batches
        with torch.enable_grad():
            with trainer.precision_plugin.train_step_context():
                value: Any = module.training_step(batch, index)
            loss: Tensor = value / every if every > 1 else value
            if index % every == 0:
                self._forget(optimizer)
            loss.backward()  # type: ignore[no-untyped-call]
        if not self._should_accumulate():
            self._step(module, optimizer, index)
        return loss.detach()

    def _step(self, module: pl.LightningModule, optimizer: Optimizer, index: int) -> None:
        """Make one step of the optimizer and of the schedule."""
        trainer, progress = self.trainer, self.automatic_optimization.optim_progress.optimizer.step
        progress.increment_ready()
        for looked in self._hooks["on_before_optimizer_step"]:
            looked(trainer, module, optimizer)
        if trainer.gradient_clip_val is not None:
            module.clip_gradients(
                optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm
            )
        optimizer.step()
        progress.increment_completed()
        for one in trainer.lr_scheduler_configs:
            self.scheduler_progress.increment_ready()
            one.scheduler.step()
            self.scheduler_progress.increment_completed()

    def _forget(self, optimizer: Optimizer) -> None:
        """Forget the gradients, and count that as Lightning does."""
        progress = self.automatic_optimization.optim_progress.optimizer.zero_grad
        progress.increment_ready()
        progress.increment_started()
        forget_gradients(optimizer)
        progress.increment_completed()


class LeanValidation(_EvaluationLoop):
    """Lightning's loop over the batches of a validation, whose module logs at its end alone."""

    def _verify_dataloader_idx_requirement(self) -> None:
        """Do not ask anew at each validation how many arguments its step has."""

    def _evaluation_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int, dataloader_iter: Any
    ) -> None:
        """Evaluate one batch."""
        trainer, progress = self.trainer, self.batch_progress
        if trainer.strategy.root_device.type != "cpu":
            batch = trainer.strategy.batch_to_device(batch, dataloader_idx=dataloader_idx)
        progress.increment_ready()
        progress.increment_started()
        with trainer.precision_plugin.val_step_context():
            trainer.lightning_module.validation_step(batch, batch_idx)
        progress.increment_processed()
        progress.increment_completed()
        self._has_run = True
        self._seen_batches_per_dataloader[dataloader_idx] += 1


def forget_gradients(optimizer: Optimizer) -> None:
    """Do what ``zero_grad`` does, which also tells a profiler; an optimizer's own is called."""
    if type(optimizer).zero_grad is not Optimizer.zero_grad:
        optimizer.zero_grad()
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def _callbacks(trainer: pl.Trainer) -> list[Callback]:
    """Return the callbacks of a trainer, in their order."""
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return callbacks


def _has(callback: Callback, hook: str) -> bool:
    """Return whether a callback implements a hook."""
    return getattr(type(callback), hook) is not getattr(Callback, hook)


def _is_ours(callback: Callback) -> bool:
    """Return whether a callback's hooks log nothing and are this package's own."""
    return type(callback).__module__.partition(".")[0] == __name__.partition(".")[0]
