"""Config models of optimizers, learning-rate schedules and averages of weights."""

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


class NadamConfig(Settings):
    """Adam with Nesterov momentum (Dozat, 2016) and decoupled weight decay."""

    name: Literal["nadam"] = "nadam"
    lr: float = number(1e-3, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(1e-2, ge=0)


class RadamConfig(Settings):
    """Adam that warms itself up (Liu et al., 2020), with decoupled weight decay."""

    name: Literal["radam"] = "radam"
    lr: float = number(1e-3, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(1e-2, ge=0)


class AdamaxConfig(Settings):
    """Adam by the largest gradient instead of their squares (Kingma and Ba, 2015).

    Weight decay is added to the gradient.
    """

    name: Literal["adamax"] = "adamax"
    lr: float = number(2e-3, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(0.0, ge=0)


class AdafactorConfig(Settings):
    """Adafactor (Shazeer and Stern, 2018): it keeps a row and a column for each matrix.

    ``lr`` is a share of a weight's own size, and at most one over the root of the steps so far.
    """

    name: Literal["adafactor"] = "adafactor"
    lr: float = number(1e-2, gt=0)
    beta2_decay: float = number(-0.8, gt=-1, lt=0)
    """How fast the memory of squared gradients grows: that of step t is 1 - t ** beta2_decay."""
    weight_decay: float = number(0.0, ge=0)


class MuonConfig(Settings):
    """Orthogonal steps for hidden matrices (Jordan et al., 2024), AdamW for everything else.

    Matrices are the weights of dense and recurrent layers and convolutions, these laid flat, but no
    embeddings and not the output layer. Their steps are as large as AdamW's (Liu et al., 2025), so
    that one ``lr`` and one ``weight_decay`` suit both.
    """

    name: Literal["muon"] = "muon"
    lr: float = number(1e-3, gt=0)
    adamw_factor: float = number(1.0, gt=0)
    """The lr of everything else is this times ``lr``."""
    momentum: float = number(0.95, ge=0, lt=1)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(1e-2, ge=0)


class LionConfig(Settings):
    """The sign of a momentum (Chen et al., 2023): a tenth of Adam's lr, ten times its decay."""

    name: Literal["lion"] = "lion"
    lr: float = number(1e-4, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.99, ge=0, lt=1)
    weight_decay: float = number(0.1, ge=0)


class AdanConfig(Settings):
    """Momentum of the gradient and of its changes (Xie et al., 2022)."""

    name: Literal["adan"] = "adan"
    lr: float = number(1e-3, gt=0)
    beta1: float = number(0.98, ge=0, lt=1)
    beta2: float = number(0.92, ge=0, lt=1)
    beta3: float = number(0.99, ge=0, lt=1)
    weight_decay: float = number(1e-2, ge=0)


class ProdigyConfig(Settings):
    """Adam that finds its own lr (Mishchenko and Defazio, 2023); ``lr`` is a factor on it."""

    name: Literal["prodigy"] = "prodigy"
    lr: float = number(1.0, gt=0)
    beta1: float = number(0.9, ge=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    weight_decay: float = number(0.0, ge=0)


class ScheduleFreeAdamwConfig(Settings):
    """AdamW whose average needs no schedule (Defazio et al., 2024).

    Validated and kept is the average, not the weights that are trained.
    """

    name: Literal["schedule_free_adamw"] = "schedule_free_adamw"
    lr: float = number(2.5e-3, gt=0)
    beta1: float = number(0.9, gt=0, lt=1)
    beta2: float = number(0.999, ge=0, lt=1)
    warmup: float = number(0.05, ge=0, lt=1)
    """The share of all steps over which the lr climbs."""
    weight_decay: float = number(1e-2, ge=0)


class ScheduleFreeSgdConfig(Settings):
    """Stochastic gradient descent whose average needs no schedule (Defazio et al., 2024).

    Validated and kept is the average, not the weights that are trained.
    """

    name: Literal["schedule_free_sgd"] = "schedule_free_sgd"
    lr: float = number(0.5, gt=0)
    momentum: float = number(0.9, gt=0, lt=1)
    warmup: float = number(0.05, ge=0, lt=1)
    """The share of all steps over which the lr climbs."""
    weight_decay: float = number(0.0, ge=0)


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
    """An optimizer: its config model; ``lightning_modules.optimizers`` builds it.

    Args:
        config: its settings.
        states: how many numbers it keeps for each parameter at least, without momentum.
        averages: whether it trains other weights than it evaluates, in place of a schedule.
        extra: whether it comes with the package of the extra ``optim``.
    """

    config: type[Settings]
    states: int
    averages: bool = False
    extra: bool = False


OPTIMIZERS: Registry[OptimizerEntry] = Registry("optimizer")
for _name, _entry in (
    ("sgd", OptimizerEntry(config=SgdConfig, states=0)),
    ("adam", OptimizerEntry(config=AdamConfig, states=2)),
    ("adamw", OptimizerEntry(config=AdamwConfig, states=2)),
    ("nadam", OptimizerEntry(config=NadamConfig, states=2)),
    ("radam", OptimizerEntry(config=RadamConfig, states=2)),
    ("adamax", OptimizerEntry(config=AdamaxConfig, states=2)),
    ("adafactor", OptimizerEntry(config=AdafactorConfig, states=0)),
    ("adagrad", OptimizerEntry(config=AdagradConfig, states=1)),
    ("rmsprop", OptimizerEntry(config=RmspropConfig, states=1)),
    ("muon", OptimizerEntry(config=MuonConfig, states=0)),
    ("lion", OptimizerEntry(config=LionConfig, states=1, extra=True)),
    ("adan", OptimizerEntry(config=AdanConfig, states=4, extra=True)),
    ("prodigy", OptimizerEntry(config=ProdigyConfig, states=4, extra=True)),
    (
        "schedule_free_adamw",
        OptimizerEntry(config=ScheduleFreeAdamwConfig, states=2, averages=True, extra=True),
    ),
    (
        "schedule_free_sgd",
        OptimizerEntry(config=ScheduleFreeSgdConfig, states=0, averages=True, extra=True),
    ),
):
    OPTIMIZERS.register(_name)(_entry)


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


class NoAverageConfig(Settings):
    """The weights of the last step."""

    name: Literal["none"] = "none"


class EmaConfig(Settings):
    """An exponential moving average of the weights after each step (Polyak and Juditsky, 1992).

    The first steps are averaged over less: after t of them ``decay`` is at most (1 + t) / (10 + t).
    """

    name: Literal["ema"] = "ema"
    decay: float = number(0.99, gt=0, lt=1)


class SwaConfig(Settings):
    """The equal average of the weights after each step of the last part (Izmailov et al., 2018)."""

    name: Literal["swa"] = "swa"
    start: float = number(0.75, ge=0, lt=1)
    """The share of all steps that come before that part."""


@dataclass(frozen=True, kw_only=True)
class AverageEntry:
    """An average of weights: its config model; ``lightning_modules.averaging`` takes it."""

    config: type[Settings]


AVERAGES: Registry[AverageEntry] = Registry("average")
AVERAGES.register("none")(AverageEntry(config=NoAverageConfig))
AVERAGES.register("ema")(AverageEntry(config=EmaConfig))
AVERAGES.register("swa")(AverageEntry(config=SwaConfig))


def is_no_average(averaging: Settings) -> bool:
    """Return whether ``averaging`` leaves the weights as they are."""
    return isinstance(averaging, NoAverageConfig)
