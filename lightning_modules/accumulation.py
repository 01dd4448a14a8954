"""Several batches for one step of the optimizer: where in such a window a batch stands."""

from typing import Any

import pytorch_lightning as pl


def part_of_step(trainer: pl.Trainer, batch_index: int) -> int:
    """Return how many batches of the same step came before this one; each epoch begins a step."""
    return batch_index % trainer.accumulate_grad_batches


def ends_step(trainer: pl.Trainer, batch_index: int) -> bool:
    """Return whether the optimizer has stepped with this batch.

    Only then can a run be left: gradients that wait for a step are in no checkpoint.
    """
    return trainer.is_last_batch or (batch_index + 1) % trainer.accumulate_grad_batches == 0


class WholeSteps(pl.Callback):
    """Let every step follow the mean of its batches, the last of an epoch too, which has fewer.

    Lightning divides each loss by the number of batches that a step should have.
    """

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Multiply the gradients of a step of fewer batches."""
        wanted = trainer.accumulate_grad_batches
        missing = -trainer.fit_loop.epoch_loop.batch_progress.current.ready % wanted
        if not missing:
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(wanted / (wanted - missing))
