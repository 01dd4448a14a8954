"""Single weights that are held at zero, and which: those that matter least in their own layer."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from lightning_modules.accumulation import ends_step

Masks = dict[str, Tensor]


class HeldAtZero(pl.Callback):
    """Put weights back to zero after every step of the optimizer, before anything is validated."""

    def __init__(self, masks: Mapping[str, Tensor]) -> None:
        self._masks = masks

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set them to zero."""
        hold(pl_module, self._masks)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Put back what the step has moved."""
        if ends_step(trainer, batch_idx):
            hold(pl_module, self._masks)


@torch.no_grad()
def hold(module: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the weights of ``module`` to zero where their mask is 0."""
    weights = dict(module.named_parameters())
    for name, mask in masks.items():
        weights[name].mul_(mask.to(weights[name].device))


def masks_of(module: nn.Module, sparsity: float) -> Masks:
    """Return masks, 0 and 1, that leave out that share of all matrices' weights.

    A weight is judged by its square against those of its layer that are no smaller (LAMP, Lee et
    al., 2021): so no layer loses all of them. What has one dimension (biases, norms) stays whole,
    and so do embeddings: a token's row is rarely seen.
    """
    whole = {
        f"{name}.weight" for name, one in module.named_modules() if isinstance(one, nn.Embedding)
    }
    scores = {
        name: _scores(weight.detach())
        for name, weight in module.named_parameters()
        if weight.ndim > 1 and name not in whole
    }
    if not scores:
        return {}
    ranked = torch.cat([one.flatten() for one in scores.values()])
    n_zero = round(sparsity * len(ranked))
    if not n_zero:
        return {name: torch.ones_like(one) for name, one in scores.items()}
    limit = ranked.kthvalue(n_zero).values
    return {name: (one > limit).to(torch.float32) for name, one in scores.items()}


def _scores(weight: Tensor) -> Tensor:
    squares = weight.double().square().flatten().cpu()
    order = squares.argsort(stable=True)
    ordered = squares[order]
    no_smaller = ordered.flip(0).cumsum(0).flip(0).clamp_min(torch.finfo(torch.float64).tiny)
    scores = torch.empty_like(ordered)
    scores[order] = ordered / no_smaller
    return scores.view(weight.shape)
