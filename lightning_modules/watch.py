"""The callback that watches a run: seeds its steps, keeps its curve and best weights, reports."""

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from lightning_modules.accumulation import ends_step, part_of_step
from lightning_modules.config import RunConfig
from lightning_modules.effort import (
    GRADIENT_NORM,
    GradientNorm,
    Pace,
    rows_of,
    speed,
)
from lightning_modules.errors import TrialFailed
from lightning_modules.generators import seed_step
from lightning_modules.module import SupervisedModule
from lightning_modules.outcome import Outcome
from lightning_modules.phases import Span, phase
from lightning_modules.result import SECONDS, SPEED, Checkpoint, Command, Listener, Validation
from lightning_modules.running import keep_running
from lightning_modules.seeds import of_step

LOSS = "val/loss"
"""Under which name our modules log the loss of a validation."""
SAVE_EVERY_S = 60.0
"""How often a run that can go on later writes where it is."""


class Abandoned(Exception):  # noqa: N818  (it is no error)
    """The listener wants the run to end now, without a result."""


class Watch(pl.Callback):
    """Watch one run.

    Raises (inside the fit):
        TrialFailed: reason ``nan`` at the first loss or objective that is no finite number;
            reason ``error`` if the objective's metric was never logged: nothing could be pruned
            or kept; reason ``disk`` if there is no room for what it writes, or the best weights
            on the disk are not those that it wrote.
        Abandoned: when the listener says so.
    """

    def __init__(
        self, config: RunConfig, folder: Path, listener: Listener | None, *, resumable: bool
    ) -> None:
        self._config = config
        self._folder = folder
        self._listener = listener
        self._resumable = resumable
        self._started = time.monotonic()
        self._saved = self._started
        self._loss_sum: torch.Tensor | float = 0.0
        self._loss_count = 0
        self._norm, self._pace = GradientNorm(), Pace()
        self._validating = Span("validation")
        self.train_seconds = 0.0
        self.train_rows: int | None = 0
        self.validations: list[Validation] = []
        self.best: Validation | None = None
        self._outcome = Outcome(folder)
        self.outlook: tuple[torch.Tensor, torch.Tensor] | None = None
        """What the best validation predicted, and what was right; None of a user's own module."""
        self._lr = math.nan
        self.stopped = False
        self._abandon = False
        """Said at a batch that a validation follows, or within a step; obeyed after that."""
        self._stepped = True

    def seconds(self) -> float:
        """Return how long the run has trained, earlier attempts that it goes on from included."""
        return time.monotonic() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of training."""
        self._pace.run()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Look at the gradients: `WholeSteps` comes before, what clips them after."""
        self._norm.add(trainer, pl_module, optimizer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Make what the step draws a function of (seed, step, batch of the step)."""
        self._pace.run()
        part = part_of_step(trainer, batch_idx)
        seed_step(of_step(self._config.seed, "step", trainer.global_step, part))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add up the loss; stop at the first that is not finite, or when told to."""
        # A step that returns nothing, or optimizes by hand, leaves an empty dict.
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor):
            loss = loss.detach()
            if loss.device.type == "cpu" and not math.isfinite(loss):
                self._not_finite("loss", trainer)
            self._loss_sum = self._loss_sum + loss
            self._loss_count += 1
        rows = rows_of(batch)
        self._pace.add(None if rows is None else rows * trainer.world_size)
        answer = Command.CONTINUE if self._listener is None else self._listener.batch_ended()
        self._abandon = self._abandon or answer is Command.ABANDON
        self._stepped = ends_step(trainer, batch_idx)
        if validates_after(trainer, batch_idx):
            self._loss_sum = float(self._loss_sum)  # a GPU has now done what it was given
            self._pace.rest()
        else:
            self._save(trainer, abandon=self._abandon)

    def state_dict(self) -> dict[str, Any]:
        """Return what a run needs to go on as if it had not stopped, as plain values and tensors.

        The file of the best weights is part of it: on the disk it may be newer than a checkpoint
        that the run goes on from, or damaged. Each checkpoint stands alone, and says by its own
        hash whether all of it is sound.
        """
        return {
            "best": self._outcome.content() if self.best else None,
            "validations": [one.model_dump(mode="json") for one in self.validations],
            "loss_sum": float(self._loss_sum),
            "loss_count": self._loss_count,
            "seconds": self.seconds(),
            "norm": self._norm.state_dict(),
            "pace": self._pace.state_dict(),
            "train_seconds": self.train_seconds,
            "train_rows": self.train_rows,
            "outlook": None if self.outlook is None else [part.cpu() for part in self.outlook],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where `state_dict` was called; put best weights and curve back as they were."""
        self.validations = [Validation.model_validate(one) for one in state_dict["validations"]]
        best = [one for one in self.validations if one.best]
        self.best = best[-1] if best else None
        self._outcome.restore(state_dict["best"] if self.best else None, self.validations)
        self._loss_sum = float(state_dict["loss_sum"])
        self._loss_count = int(state_dict["loss_count"])
        self._started = time.monotonic() - float(state_dict["seconds"])
        self._norm.load_state_dict(state_dict.get("norm", {}))
        self._pace.load_state_dict(state_dict.get("pace", {}))
        self.train_seconds = float(state_dict.get("train_seconds", 0.0))
        self.train_rows = state_dict.get("train_rows")
        outlook = state_dict.get("outlook")
        self.outlook = None if outlook is None else (outlook[0], outlook[1])

    def best_checkpoint(self) -> Checkpoint:
        """Describe the file of the best weights, as it was written.

        Raises:
            TrialFailed: reason ``disk`` if there is no room, or it is damaged since.
        """
        return self._outcome.checkpoint()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the lr that led here, before a schedule reads the outcome."""
        self._pace.rest()
        self._validating.begin()
        if not trainer.sanity_checking and trainer.optimizers:
            self._lr = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the curve, keep the best weights, report, obey."""
        self._validating.end()
        if trainer.sanity_checking:
            return
        with phase("records"):
            validation = self._recorded(trainer, pl_module)
        command = Command.CONTINUE
        if self._listener is not None:
            command = self._listener.validated(validation)
        if command is Command.STOP:
            self.stopped = True
            trainer.should_stop = True
        elif not trainer.should_stop:  # early stopping ends the run here, with a result
            self._save(trainer, abandon=self._abandon or command is Command.ABANDON)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock of training; write what waits to be."""
        self._pace.rest()
        with phase("records"):
            self._outcome.settle()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Write how far the run came; what ended it is told, not that there is no room for it."""
        with suppress(TrialFailed):
            self._outcome.settle()

    def _recorded(self, trainer: pl.Trainer, module: pl.LightningModule) -> Validation:
        """Write curve, best weights and what loggers are told; return the validation."""
        validation = self._validation(trainer)
        self.validations.append(validation)
        if validation.best:
            self.best = validation
            self.outlook = module.validated if isinstance(module, SupervisedModule) else None
        self._outcome.validated(trainer, self.validations)
        own = {**validation.metrics, **validation.pace}
        told = {name: own[name] for name in own.keys() - trainer.callback_metrics.keys()}
        for logger in trainer.loggers:  # Lightning has told them the others, at this step
            logger.log_metrics(told, step=validation.step - 1)
        return validation

    def _save(self, trainer: pl.Trainer, *, abandon: bool) -> None:
        """Write where the run is, if it is time or the run ends here; end it if it does.

        Within a step nothing is done yet: gradients that wait for a step are in no checkpoint.
        """
        self._abandon = abandon
        if not self._stepped:
            return
        due = abandon or time.monotonic() - self._saved >= SAVE_EVERY_S
        if due and self._resumable:
            self._pace.rest()
            with phase("records"):
                self._outcome.settle()
                keep_running(
                    self._folder,
                    lambda path: trainer.save_checkpoint(path, weights_only=False),
                    step=trainer.global_step,
                )
            self._saved = time.monotonic()
        if abandon:
            raise Abandoned
        self._pace.run()

    def _validation(self, trainer: pl.Trainer) -> Validation:
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        monitor = self._config.monitor
        if monitor not in logged:
            names = ", ".join(sorted(logged)) or "nothing"
            what = f"{monitor!r} was never logged; logged: {names}"
            raise TrialFailed("error", what, "name a logged metric in objective.metric")
        objective = logged[monitor]
        if self._loss_count:
            logged["train/loss"] = float(self._loss_sum) / self._loss_count
            self._loss_sum, self._loss_count = 0.0, 0
        logged["train/lr"] = self._lr
        norm = self._norm.take()
        if math.isfinite(norm):  # what a module logs by that name itself stays
            logged[GRADIENT_NORM] = norm
        for name in (monitor, "train/loss"):
            if not math.isfinite(logged.get(name, 0.0)):
                self._not_finite(name, trainer)
        n_batches = max(int(trainer.num_training_batches), 1)
        return Validation(
            validation=len(self.validations) + 1,
            epoch=trainer.fit_loop.epoch_loop.total_batch_idx / n_batches + 1 / n_batches,
            step=trainer.global_step,
            seconds=self.seconds(),
            objective=objective,
            best=self._better(objective, logged.get(LOSS, math.nan)),
            metrics={name: value for name, value in logged.items() if math.isfinite(value)},
            pace=self._taken_pace(),
        )

    def _taken_pace(self) -> dict[str, float]:
        """Return what training took since the last validation, and add it to the whole."""
        seconds, rows = self._pace.take()
        known = rows is not None and self.train_rows is not None
        self.train_seconds += seconds
        self.train_rows = (self.train_rows or 0) + (rows or 0) if known else None
        found = speed(seconds, rows)
        return {SECONDS: round(seconds, 6)} | ({} if found is None else {SPEED: round(found, 3)})

    def _better(self, objective: float, loss: float) -> bool:
        """Return whether this validation is the best; of equal ones it is that of less loss.

        On few rows many validations are equal, and the first of them has learned least.
        """
        if self.best is None:
            return True
        if objective == self.best.objective:
            return loss < self.best.metrics.get(LOSS, math.nan)
        if self._config.objective.direction == "maximize":
            return objective > self.best.objective
        return objective < self.best.objective

    def _not_finite(self, name: str, trainer: pl.Trainer) -> None:
        optimizer = trainer.optimizers[0].param_groups[0]
        what = f"non-finite {name} in epoch {trainer.current_epoch + 1} (lr {optimizer['lr']:.3g})"
        raise TrialFailed("nan", what, "lower the lr or clip the gradient")


def validates_after(trainer: pl.Trainer, batch_index: int) -> bool:
    """Return whether a validation follows this batch: a run that goes on there would skip it."""
    every = trainer.check_val_every_n_epoch
    if every is not None and (trainer.current_epoch + 1) % every:
        return False
    n_between = trainer.val_check_batch or math.inf
    if trainer.is_last_batch and n_between >= trainer.num_training_batches:
        return True
    return (batch_index + 1) % n_between == 0
