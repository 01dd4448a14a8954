"""Build optimizers and learning-rate schedules from their configs."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from lightning_modules.optim import (
    AdagradConfig,
    AdamConfig,
    AdamwConfig,
    CosineConfig,
    OneCycleConfig,
    PlateauConfig,
    RmspropConfig,
    SgdConfig,
)
from lightning_modules.settings import Settings
from lightning_modules.task import Direction


def parameter_groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Split parameters into matrices, which decay, and norms and biases, which do not."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def build_optimizer(config: Settings, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Return the optimizer of ``config`` over ``parameters``.

    Raises:
        TypeError: if no optimizer is built from that config model.
    """
    match config:
        case SgdConfig():
            return torch.optim.SGD(
                parameter_groups(parameters, config.weight_decay),
                lr=config.lr,
                momentum=config.momentum,
                nesterov=config.nesterov,
            )
        case AdamConfig() | AdamwConfig():
            kind = torch.optim.Adam if isinstance(config, AdamConfig) else torch.optim.AdamW
            return kind(
                parameter_groups(parameters, config.weight_decay),
                lr=config.lr,
                betas=(config.beta1, config.beta2),
            )
        case AdagradConfig():
            return torch.optim.Adagrad(
                parameter_groups(parameters, config.weight_decay),
                lr=config.lr,
                lr_decay=config.lr_decay,
            )
        case RmspropConfig():
            return torch.optim.RMSprop(
                parameter_groups(parameters, config.weight_decay),
                lr=config.lr,
                alpha=config.alpha,
                momentum=config.momentum,
            )
    raise TypeError(f"no optimizer is built from {type(config).__name__}")


def build_schedule(
    config: Settings, optimizer: Optimizer, *, n_steps: int, direction: Direction
) -> LRScheduler | ReduceLROnPlateau | None:
    """Return the schedule of ``config`` over ``n_steps`` optimizer steps; None for constant.

    A plateau schedule is stepped once per validation with the objective, the others once per step.
    """
    match config:
        case CosineConfig():
            return LambdaLR(optimizer, cosine_factor(config, n_steps))
        case OneCycleConfig():
            return LambdaLR(optimizer, one_cycle_factor(config, n_steps))
        case PlateauConfig():
            return ReduceLROnPlateau(
                optimizer,
                mode="max" if direction == "maximize" else "min",
                factor=config.factor,
                patience=config.patience,
            )
    return None


def cosine_factor(config: CosineConfig, n_steps: int) -> Callable[[int], float]:
    """Return step → share of the lr: linear up over ``warmup``, then half a cosine to ``final``."""
    warm = round(config.warmup * n_steps)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return _cosine(1.0, config.final, (step - warm) / max(n_steps - warm, 1))

    return factor


def one_cycle_factor(config: OneCycleConfig, n_steps: int) -> Callable[[int], float]:
    """Return step → share of the lr: cosine from ``start`` up to 1, then down to ``final``."""
    rise = max(round(config.warmup * n_steps), 1)

    def factor(step: int) -> float:
        if step < rise:
            return _cosine(config.start, 1.0, step / rise)
        return _cosine(1.0, config.final, (step - rise) / max(n_steps - rise, 1))

    return factor


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
