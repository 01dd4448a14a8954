"""Config models of tasks and losses; which metrics exist, for which task, in which direction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, Tagged, conflict, number, shape

Direction = Literal["maximize", "minimize"]
KINDS = ("binary", "multiclass", "multilabel", "regression", "forecasting")
CLASSIFICATION = ("binary", "multiclass")
NUMBERS = ("regression", "forecasting")
"""Kinds that predict numbers: one of a row, or several."""


def _is_none(value: object) -> bool:
    """Say whether classes are drawn as they come, which records leave out."""
    return value == "none"


class CrossEntropyConfig(Settings):
    """Cross entropy; ``label_smoothing`` spreads that share of the target over all classes."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = number(0.0, ge=0, lt=1)


class FocalConfig(Settings):
    """Cross entropy that counts sure and right rows less, by ``gamma`` (Lin et al., 2017)."""

    name: Literal["focal"] = "focal"
    gamma: float = number(2.0, ge=0)


class BceConfig(Settings):
    """Binary cross entropy of each label, their mean."""

    name: Literal["bce"] = "bce"


class MseConfig(Settings):
    """Mean squared error, on the scaled target."""

    name: Literal["mse"] = "mse"


class MaeConfig(Settings):
    """Mean absolute error, on the scaled target."""

    name: Literal["mae"] = "mae"


class HuberConfig(Settings):
    """Squared within ``delta`` standard deviations of the target, linear beyond."""

    name: Literal["huber"] = "huber"
    delta: float = number(1.0, gt=0)


class QuantileConfig(Settings):
    """The pinball loss (Koenker and Bassett, 1978): the ``quantile`` is predicted, not the mean."""

    name: Literal["quantile"] = "quantile"
    quantile: float = number(0.5, gt=0, lt=1)


@dataclass(frozen=True)
class LossEntry:
    """A loss: its config model."""

    config: type[Settings]


CLASS_LOSSES: Registry[LossEntry] = Registry("classification loss")
CLASS_LOSSES.register("cross_entropy")(LossEntry(CrossEntropyConfig))
CLASS_LOSSES.register("focal")(LossEntry(FocalConfig))
LABEL_LOSSES: Registry[LossEntry] = Registry("label loss")
LABEL_LOSSES.register("bce")(LossEntry(BceConfig))
LABEL_LOSSES.register("focal")(LossEntry(FocalConfig))
NUMBER_LOSSES: Registry[LossEntry] = Registry("regression loss")
for _name, _config in (
    ("mse", MseConfig),
    ("mae", MaeConfig),
    ("huber", HuberConfig),
    ("quantile", QuantileConfig),
):
    NUMBER_LOSSES.register(_name)(LossEntry(_config))


class _ClassesConfig(Settings):
    """What tasks of classes share."""

    kind: str
    loss: Annotated[Settings, Tagged(CLASS_LOSSES, "name")] = CrossEntropyConfig()
    class_weights: Literal["none", "balanced"] = shape("none")
    """``balanced``: each class weighs the same in the loss, however rare."""
    sampling: Literal["none", "balanced"] = shape("none", exclude_if=_is_none)
    """``balanced``: each epoch draws as many rows of each class, however rare."""

    @model_validator(mode="after")
    def _balanced_once(self) -> "_ClassesConfig":
        if self.class_weights == self.sampling == "balanced":
            raise conflict("sampling: class_weights balance the classes already; remove one")
        return self


class BinaryConfig(_ClassesConfig):
    """One of two classes; the positive one is the last in order."""

    kind: Literal["binary"] = "binary"


class MulticlassConfig(_ClassesConfig):
    """One of several classes."""

    kind: Literal["multiclass"] = "multiclass"


class MultilabelConfig(Settings):
    """Labels of which a row has any number; each is taken where it is more probable than not."""

    kind: Literal["multilabel"] = "multilabel"
    loss: Annotated[Settings, Tagged(LABEL_LOSSES, "name")] = BceConfig()
    class_weights: Literal["none", "balanced"] = shape("none")
    """``balanced``: of each label, the rows with it weigh as much in the loss as those without."""


class RegressionConfig(Settings):
    """A number, or several."""

    kind: Literal["regression"] = "regression"
    loss: Annotated[Settings, Tagged(NUMBER_LOSSES, "name")] = MseConfig()


class ForecastingConfig(Settings):
    """The next steps of a series, from its last ones and those of other columns."""

    kind: Literal["forecasting"] = "forecasting"
    window: int = shape(24, ge=1, le=100_000)
    """Steps that are looked at."""
    horizon: int = Field(12, ge=1, le=10_000)
    """Steps that are predicted, all at once."""
    level: Literal["mean", "last", "none"] = shape("mean")
    """What a window is seen, and its future predicted, relative to: its mean, or its last step."""
    loss: Annotated[Settings, Tagged(NUMBER_LOSSES, "name")] = MseConfig()


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """A kind of task: its config model and the metric that judges it by default."""

    config: type[Settings]
    default_metric: str


TASKS: Registry[TaskEntry] = Registry("task kind")
TASKS.register("binary")(TaskEntry(config=BinaryConfig, default_metric="accuracy"))
TASKS.register("multiclass")(TaskEntry(config=MulticlassConfig, default_metric="accuracy"))
TASKS.register("multilabel")(TaskEntry(config=MultilabelConfig, default_metric="f1"))
TASKS.register("regression")(TaskEntry(config=RegressionConfig, default_metric="rmse"))
TASKS.register("forecasting")(TaskEntry(config=ForecastingConfig, default_metric="rmse"))


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number computed once per validation from all its outputs and targets.

    ``compute`` is ``module:function`` or a function ``(outputs, targets) -> float``. Outputs are
    probabilities ``(rows, classes)`` for binary and multiclass, predictions ``(rows,)`` in the
    target's own units for numbers; targets are ``(rows,)``. Of several targets the mean over them
    is taken. For multilabel both are ``(rows, labels)``: probabilities, and whole 0 and 1.
    """

    direction: Direction
    kinds: tuple[str, ...]
    compute: str | Callable[[Any, Any], float]
    each_validation: bool = False
    """Whether it is computed at every validation; the others only when asked for."""
    takes: tuple[str, ...] = ()
    """Numbers of the loss that ``compute`` takes by name; other losses have no such metric."""


METRICS: Registry[Metric] = Registry("metric")

_LABELS = (*CLASSIFICATION, "multilabel")
for _name, _direction, _kinds, _each in (
    ("accuracy", "maximize", _LABELS, True),
    ("subset_accuracy", "maximize", ("multilabel",), False),
    ("balanced_accuracy", "maximize", CLASSIFICATION, False),
    ("precision", "maximize", _LABELS, False),
    ("precision_weighted", "maximize", _LABELS, False),
    ("precision_micro", "maximize", ("multilabel",), False),
    ("recall", "maximize", _LABELS, False),
    ("recall_weighted", "maximize", _LABELS, False),
    ("recall_micro", "maximize", ("multilabel",), False),
    ("f1", "maximize", _LABELS, True),
    ("f1_weighted", "maximize", _LABELS, False),
    ("f1_micro", "maximize", ("multilabel",), False),
    ("roc_auc", "maximize", _LABELS, False),
    ("pr_auc", "maximize", _LABELS, False),
    ("log_loss", "minimize", _LABELS, False),
    ("brier", "minimize", CLASSIFICATION, False),
    ("ece", "minimize", CLASSIFICATION, False),
    ("rmse", "minimize", NUMBERS, True),
    ("mse", "minimize", NUMBERS, False),
    ("mae", "minimize", NUMBERS, True),
    ("median_ae", "minimize", NUMBERS, False),
    ("mape", "minimize", NUMBERS, False),
    ("pinball", "minimize", NUMBERS, False),
    ("r2", "maximize", NUMBERS, True),
):
    METRICS.register(_name)(
        Metric(
            direction="maximize" if _direction == "maximize" else "minimize",
            kinds=_kinds,
            compute=f"lightning_modules.metrics:{_name}",
            each_validation=_each,
            takes=("quantile",) if _name == "pinball" else (),
        )
    )
