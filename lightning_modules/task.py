"""Config models of tasks and losses; which metrics exist, for which task, in which direction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, Tagged, number, shape

Direction = Literal["maximize", "minimize"]
KINDS = ("binary", "multiclass", "regression")
CLASSIFICATION = ("binary", "multiclass")


class CrossEntropyConfig(Settings):
    """Cross entropy; ``label_smoothing`` spreads that share of the target over all classes."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = number(0.0, ge=0, lt=1)


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


@dataclass(frozen=True)
class LossEntry:
    """A loss: its config model."""

    config: type[Settings]


CLASS_LOSSES: Registry[LossEntry] = Registry("classification loss")
CLASS_LOSSES.register("cross_entropy")(LossEntry(CrossEntropyConfig))
NUMBER_LOSSES: Registry[LossEntry] = Registry("regression loss")
for _name, _config in (("mse", MseConfig), ("mae", MaeConfig), ("huber", HuberConfig)):
    NUMBER_LOSSES.register(_name)(LossEntry(_config))


class BinaryConfig(Settings):
    """One of two classes; the positive one is the last in order."""

    kind: Literal["binary"] = "binary"
    loss: Annotated[Settings, Tagged(CLASS_LOSSES, "name")] = CrossEntropyConfig()
    class_weights: Literal["none", "balanced"] = shape("none")
    """``balanced``: each class weighs the same in the loss, however rare."""


class MulticlassConfig(Settings):
    """One of several classes."""

    kind: Literal["multiclass"] = "multiclass"
    loss: Annotated[Settings, Tagged(CLASS_LOSSES, "name")] = CrossEntropyConfig()
    class_weights: Literal["none", "balanced"] = shape("none")
    """``balanced``: each class weighs the same in the loss, however rare."""


class RegressionConfig(Settings):
    """A number."""

    kind: Literal["regression"] = "regression"
    loss: Annotated[Settings, Tagged(NUMBER_LOSSES, "name")] = MseConfig()


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """A kind of task: its config model and the metric that judges it by default."""

    config: type[Settings]
    default_metric: str


TASKS: Registry[TaskEntry] = Registry("task kind")
TASKS.register("binary")(TaskEntry(config=BinaryConfig, default_metric="accuracy"))
TASKS.register("multiclass")(TaskEntry(config=MulticlassConfig, default_metric="accuracy"))
TASKS.register("regression")(TaskEntry(config=RegressionConfig, default_metric="rmse"))


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number computed once per validation from all its outputs and targets.

    ``compute`` is ``module:function`` or a function ``(outputs, targets) -> float``. Outputs are
    probabilities ``(rows, classes)`` for binary and multiclass, predictions ``(rows,)`` in the
    target's own units for regression; targets are ``(rows,)``.
    """

    direction: Direction
    kinds: tuple[str, ...]
    compute: str | Callable[[Any, Any], float]
    each_validation: bool = False
    """Whether it is computed at every validation; the others only when asked for."""


METRICS: Registry[Metric] = Registry("metric")

for _name, _direction, _kinds, _each in (
    ("accuracy", "maximize", CLASSIFICATION, True),
    ("balanced_accuracy", "maximize", CLASSIFICATION, False),
    ("precision", "maximize", CLASSIFICATION, False),
    ("precision_weighted", "maximize", CLASSIFICATION, False),
    ("recall", "maximize", CLASSIFICATION, False),
    ("recall_weighted", "maximize", CLASSIFICATION, False),
    ("f1", "maximize", CLASSIFICATION, True),
    ("f1_weighted", "maximize", CLASSIFICATION, False),
    ("roc_auc", "maximize", CLASSIFICATION, False),
    ("pr_auc", "maximize", CLASSIFICATION, False),
    ("log_loss", "minimize", CLASSIFICATION, False),
    ("brier", "minimize", CLASSIFICATION, False),
    ("ece", "minimize", CLASSIFICATION, False),
    ("rmse", "minimize", ("regression",), True),
    ("mse", "minimize", ("regression",), False),
    ("mae", "minimize", ("regression",), True),
    ("median_ae", "minimize", ("regression",), False),
    ("mape", "minimize", ("regression",), False),
    ("r2", "maximize", ("regression",), True),
):
    METRICS.register(_name)(
        Metric(
            direction="maximize" if _direction == "maximize" else "minimize",
            kinds=_kinds,
            compute=f"lightning_modules.metrics:{_name}",
            each_validation=_each,
        )
    )
