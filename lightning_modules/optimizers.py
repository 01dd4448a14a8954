"""Build optimizers and learning-rate schedules from their configs."""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from lightning_modules.errors import UsageError
from lightning_modules.muon import Muon, matrices
from lightning_modules.optim import (
    OPTIMIZERS,
    AdafactorConfig,
    AdagradConfig,
    AdamaxConfig,
    AdamConfig,
    AdamwConfig,
    AdanConfig,
    CosineConfig,
    LionConfig,
    MuonConfig,
    NadamConfig,
    OneCycleConfig,
    PlateauConfig,
    ProdigyConfig,
    RadamConfig,
    RmspropConfig,
    ScheduleFreeAdamwConfig,
    ScheduleFreeSgdConfig,
    SgdConfig,
)
from lightning_modules.settings import Settings
from lightning_modules.task import Direction

Groups = list[dict[str, Any]]


def parameter_groups(parameters: Iterable[nn.Parameter], decay: float) -> Groups:
    """Split parameters into matrices, which decay, and norms and biases, which do not."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def build_optimizer(
    config: Settings, network: nn.Module, *, n_steps: int, fused: bool = True
) -> Optimizer:
    """Return the optimizer of ``config`` over the parameters of ``network``.

    Args:
        config: the optimizer's.
        network: what is trained; frozen parameters are left out.
        n_steps: of the whole run, for a warm-up.
        fused: whether one kernel makes a whole step, where torch has one: for a small network
            several times as fast, and the same to rounding. Not where gradients are scaled.

    Raises:
        TypeError: if no optimizer is built from that config model.
        UsageError: if it comes with a package that is not installed, or would train nothing of
            ``network`` in its own way.
    """
    if isinstance(config, MuonConfig):
        return _muon(config, network, fused=fused)
    build = _BUILDERS.get(type(config))
    if build is None:
        raise TypeError(f"no optimizer is built from {type(config).__name__}")
    settings: Any = config
    groups = parameter_groups(network.parameters(), settings.weight_decay)
    return build(settings, groups, n_steps, fused)


def refuse_missing(config: Settings) -> None:
    """Check that the package that an optimizer comes with is installed.

    Raises:
        UsageError: if not.
    """
    name = str(getattr(config, "name", ""))
    if name in OPTIMIZERS and OPTIMIZERS[name].extra:
        _package(name)


def _package(name: str) -> Any:
    """Return the package that the extra ``optim`` brings."""
    try:
        return importlib.import_module("pytorch_optimizer")
    except ModuleNotFoundError:
        what = f"{name} needs pytorch_optimizer"
        raise UsageError("optimizer.name", what, "pip install 'hpo[optim]'") from None


Build = Callable[[Any, Groups, int, bool], Optimizer]
"""From config, groups, steps of the run, and whether to use a fused kernel."""


def _sgd(config: SgdConfig, groups: Groups, n_steps: int, fused: bool) -> Optimizer:
    return torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, fused=fused
    )


def _adagrad(config: AdagradConfig, groups: Groups, n_steps: int, fused: bool) -> Optimizer:
    return torch.optim.Adagrad(groups, lr=config.lr, lr_decay=config.lr_decay, fused=fused)


def _rmsprop(config: RmspropConfig, groups: Groups, n_steps: int, fused: bool) -> Optimizer:
    return torch.optim.RMSprop(groups, lr=config.lr, alpha=config.alpha, momentum=config.momentum)


def _adafactor(config: AdafactorConfig, groups: Groups, n_steps: int, fused: bool) -> Optimizer:
    return torch.optim.Adafactor(groups, lr=config.lr, beta2_decay=config.beta2_decay)


def _adam(kind: Callable[..., Optimizer], *, has_fused: bool = False, **fixed: bool) -> Build:
    """Return a builder of one of torch's relatives of Adam."""

    def build(config: Any, groups: Groups, n_steps: int, fused: bool) -> Optimizer:
        settings = {**fixed, "fused": fused} if has_fused else fixed
        return kind(groups, lr=config.lr, betas=(config.beta1, config.beta2), **settings)

    return build


def _extra(name: str) -> Build:
    """Return a builder of an optimizer of the package that the extra ``optim`` brings."""

    def build(config: Any, groups: Groups, n_steps: int, fused: bool) -> Optimizer:
        kind = getattr(_package(config.name), name)
        settings: dict[str, Any] = {}
        fields = type(config).model_fields
        betas = tuple(getattr(config, f"beta{i}") for i in (1, 2, 3) if f"beta{i}" in fields)
        if betas:
            settings["betas"] = betas
        if "momentum" in fields:
            settings["momentum"] = config.momentum
        if "warmup" in fields:
            settings["warmup_steps"] = round(config.warmup * n_steps)
        optimizer: Optimizer = kind(groups, lr=config.lr, **settings)
        return optimizer

    return build


_BUILDERS: Mapping[type[Settings], Build] = {
    SgdConfig: _sgd,
    AdamConfig: _adam(torch.optim.Adam, has_fused=True),
    AdamwConfig: _adam(torch.optim.AdamW, has_fused=True),
    NadamConfig: _adam(torch.optim.NAdam, decoupled_weight_decay=True),
    RadamConfig: _adam(torch.optim.RAdam, decoupled_weight_decay=True),
    AdamaxConfig: _adam(torch.optim.Adamax),
    AdafactorConfig: _adafactor,
    AdagradConfig: _adagrad,
    RmspropConfig: _rmsprop,
    LionConfig: _extra("Lion"),
    AdanConfig: _extra("Adan"),
    ProdigyConfig: _extra("Prodigy"),
    ScheduleFreeAdamwConfig: _extra("ScheduleFreeAdamW"),
    ScheduleFreeSgdConfig: _extra("ScheduleFreeSGD"),
}


def _muon(config: MuonConfig, network: nn.Module, *, fused: bool) -> Optimizer:
    hidden = matrices(network)
    if not hidden:
        what = "muon would train nothing: the network has no matrix before its output layer"
        raise UsageError("optimizer.name", what, "use adamw")
    chosen = {id(parameter) for parameter in hidden}
    rest = [p for p in network.parameters() if id(p) not in chosen]
    return Muon(
        [{"params": hidden, "weight_decay": config.weight_decay}],
        parameter_groups(rest, config.weight_decay),
        lr=(config.lr, config.adamw_factor * config.lr),
        momentum=config.momentum,
        betas=(config.beta1, config.beta2),
        fused=fused,
    )


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
