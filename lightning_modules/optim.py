"""Config models of optimizers and learning-rate schedules."""

from dataclasses import dataclass
from typing import Literal

from pydantic import model_validator

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, conflict, number, shape


class SgdConfig(Settings):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    lr: float = number(0.05, gt=0)
    momentum: float = number(0.9, ge=0, lt=1)
    nesterov: bool = shape(False)
    weight_decay: float = number(0.0, ge=0)

    @model_validator(mode="after")
    def _nesterov_has_an_effect(self) -> "SgdConfig":
        if self.nesterov and not self.momentum:
            raise conflict("nesterov: has no effect without momentum; remove it, or raise momentum")
        return self


class AdamConfig(Settings):
    """Adam (Kingma and Ba, 2015); weight decay is added to the gradient."""

    name: Literal["adam"] = "adam"
    lr: float = number(1e-3, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(0.0, ge=0)


class AdamwConfig(Settings):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: float = number(1e-3, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(1e-2, ge=0)


class AdagradConfig(Settings):
    """AdaGrad (Duchi, Hazan and Singer, 2011)."""

    name: Literal["adagrad"] = "adagrad"
    lr: float = number(1e-2, gt=0)
    lr_decay: float = number(0.0, ge=0)
    weight_decay: float = number(0.0, ge=0)


class RmspropConfig(Settings):
    """RMSprop (Tieleman and Hinton, 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    lr: float = number(1e-3, gt=0)
    alpha: float = number(0.99, ge=0, lt=1)
    momentum: float = number(0.0, ge=0, lt=1)
    weight_decay: float = number(0.0, ge=0)


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry:
    """An optimizer: its config model; ``lightning_modules.optimizers`` builds it."""

    config: type[Settings]


OPTIMIZERS: Registry[OptimizerEntry] = Registry("optimizer")
for _name, _config in (
    ("sgd", SgdConfig),
    ("adam", AdamConfig),
    ("adamw", AdamwConfig),
    ("adagrad", AdagradConfig),
    ("rmsprop", RmspropConfig),
):
    OPTIMIZERS.register(_name)(OptimizerEntry(config=_config))


class ConstantConfig(Settings):
    """The optimizer's lr throughout."""

    name: Literal["constant"] = "constant"


class CosineConfig(Settings):
    """A linear warm-up over ``warmup`` of all steps, then half a cosine down to ``final * lr``.

    Loshchilov and Hutter, 2017, without restarts.
    """

    name: Literal["cosine"] = "cosine"
    warmup: float = number(0.05, ge=0, lt=1)
    final: float = number(0.01, ge=0, le=1)


class OneCycleConfig(Settings):
    """Up to the optimizer's lr over ``warmup`` of all steps, then down (Smith and Topin, 2018)."""

    name: Literal["one_cycle"] = "one_cycle"
    warmup: float = number(0.3, gt=0, lt=1)
    start: float = number(0.04, gt=0, le=1)
    final: float = number(1e-4, gt=0, le=1)


class PlateauConfig(Settings):
    """``factor * lr`` after ``patience`` validations without a better objective."""

    name: Literal["plateau"] = "plateau"
    factor: float = number(0.3, gt=0, lt=1)
    patience: int = shape(3, ge=0)


@dataclass(frozen=True, kw_only=True)
class ScheduleEntry:
    """A schedule: its config model; ``lightning_modules.optimizers`` builds it."""

    config: type[Settings]


SCHEDULES: Registry[ScheduleEntry] = Registry("schedule")
for _name, _schedule in (
    ("constant", ConstantConfig),
    ("cosine", CosineConfig),
    ("one_cycle", OneCycleConfig),
    ("plateau", PlateauConfig),
):
    SCHEDULES.register(_name)(ScheduleEntry(config=_schedule))
