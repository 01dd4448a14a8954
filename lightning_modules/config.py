"""RunConfig: every decision of one training, complete, as plain values."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lightning_modules.data.config import (
    SOURCES,
    ImageCsvConfig,
    PrepareConfig,
    SourceConfig,
    TableConfig,
)
from lightning_modules.families import FAMILIES
from lightning_modules.optim import (
    AVERAGES,
    OPTIMIZERS,
    SCHEDULES,
    NoAverageConfig,
    is_no_average,
)
from lightning_modules.registry import suggest
from lightning_modules.settings import Settings, Tagged, conflict, number, shape
from lightning_modules.task import (
    CLASSIFICATION,
    METRICS,
    NUMBERS,
    TASKS,
    Direction,
    FocalConfig,
    ForecastingConfig,
)

DEFAULT_BATCH_SIZE = 64


def _is_one(value: int) -> bool:
    return value == 1


def _is_none(value: object) -> bool:
    return value is None


def _is_off(value: bool) -> bool:
    return not value


class EarlyStoppingConfig(Settings):
    """Stop after ``patience`` validations that were not better by ``min_delta``."""

    patience: int = Field(5, ge=1)
    min_delta: float = Field(0.0, ge=0)


class TrainerConfig(Settings):
    """How long, in which batches, on what."""

    max_epochs: int = Field(20, ge=1)
    """Passes over the training rows."""
    batch_size: int | None = shape(None, ge=1)
    """Rows of a batch: 64, unless a data module of your own makes its batches."""
    validate_every: int | float = Field(1)
    """A number of epochs, or a fraction of one."""
    gradient_clip: float | None = number(None, gt=0)
    """The largest norm of the whole gradient."""
    accumulate: int = shape(1, ge=1, exclude_if=_is_one)
    """How many batches make one step of the optimizer."""
    averaging: Annotated[Settings, Tagged(AVERAGES, "name")] = Field(
        NoAverageConfig(), exclude_if=is_no_average
    )
    """Which average of the weights is validated and kept, and not those of the last step."""
    early_stopping: EarlyStoppingConfig | None = None
    threads: int = Field(1, ge=1)
    """Of each process."""
    processes: int = shape(1, ge=1)
    """How many train the run together, each a share of every batch, each on a GPU of its own."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = shape("32-true")
    layout: Literal["contiguous", "channels_last"] | None = shape(None, exclude_if=_is_none)
    """How the weights of convolutions over images lie in memory, and with them what they see; None
    is the network's own: of `cnn` and `resnet` channels last."""
    compile: bool = shape(False, exclude_if=_is_off)
    """Whether ``torch.compile`` makes one program of the network, for the training alone."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"

    @model_validator(mode="after")
    def _whole_or_fraction(self) -> "TrainerConfig":
        every = self.validate_every
        if isinstance(every, float) and not 0 < every < 1:
            raise conflict(
                f"validate_every: {every} is no number of epochs; "
                "write 1, 2, … or a fraction between 0 and 1"
            )
        if isinstance(every, int) and not 1 <= every <= self.max_epochs:
            raise conflict(
                "validate_every: must be between 1 and max_epochs, or nothing is ever measured"
            )
        return self

    @model_validator(mode="after")
    def _something_for_every_process(self) -> "TrainerConfig":
        if self.batch_size is not None and self.batch_size < self.processes:
            raise conflict(
                f"batch_size: {self.batch_size} rows are too few for {self.processes} processes; "
                "raise it, or lower processes"
            )
        if self.accelerator == "mps" and self.processes > 1:
            raise conflict("processes: mps trains in one process; remove this setting")
        return self


class ObjectiveConfig(Settings):
    """The one metric that objective, checkpoint, early stopping and pruner all read."""

    metric: str
    direction: Direction


class RunConfig(Settings):
    """One training. ``optimizer``, ``schedule`` are None for modules that bring their own."""

    task: Annotated[Settings, Tagged(TASKS, "kind")] | None = None
    data: Annotated[Settings, Tagged(SOURCES, "source")]
    model: Annotated[Settings, Tagged(FAMILIES, "family")]
    optimizer: Annotated[Settings, Tagged(OPTIMIZERS, "name")] | None = None
    schedule: Annotated[Settings, Tagged(SCHEDULES, "name")] | None = None
    trainer: TrainerConfig = TrainerConfig()
    objective: ObjectiveConfig
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Write out every default that depends on another section."""
        if not isinstance(values, Mapping):
            return values
        filled = {
            key: value.model_dump() if isinstance(value, Settings) else value
            for key, value in values.items()
        }
        if brings_own_optimizer(filled.get("model")) is False:
            filled["optimizer"] = _or(filled.get("optimizer"), {"name": "adamw"})
            filled["schedule"] = _or(filled.get("schedule"), {"name": "constant"})
        trainer = filled.get("trainer", {})
        if isinstance(trainer, Mapping) and brings_own_batches(filled.get("data")) is False:
            size = _or(trainer.get("batch_size"), DEFAULT_BATCH_SIZE)
            filled["trainer"] = {**trainer, "batch_size": size}
        objective = _or(filled.get("objective"), {})
        if isinstance(objective, Mapping):
            ours = brings_own_optimizer(filled.get("model")) is not True
            filled["objective"] = _complete_objective(objective, filled.get("task"), ours)
        return filled

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> "RunConfig":
        complain = [text for text in _conflicts(self) if text]
        if complain:
            raise conflict(*complain)
        return self

    @property
    def family(self) -> str:
        """The name of the model's family."""
        return str(vars(self.model)["family"])

    @property
    def source(self) -> str:
        """The name of the data source."""
        return str(vars(self.data)["source"])

    @property
    def kind(self) -> str | None:
        """The kind of task, None where module and data are the user's own."""
        return None if self.task is None else str(vars(self.task)["kind"])

    @property
    def n_folds(self) -> int | None:
        """How many folds are trained one after the other; None for a single training."""
        if not isinstance(self.data, SourceConfig) or self.data.fold is not None:
            return None
        return self.data.folds

    @property
    def n_validations(self) -> int:
        """How many validations a whole run reports; of folds, each is one."""
        if self.n_folds is not None:
            return self.n_folds
        every, epochs = self.trainer.validate_every, self.trainer.max_epochs
        return epochs // every if isinstance(every, int) else int(epochs / every)

    @property
    def most_epochs(self) -> int:
        """How many epochs a whole run has, those of all its folds."""
        return self.trainer.max_epochs * (self.n_folds or 1)

    @property
    def whole(self) -> bool:
        """Whether the model is a LightningModule with its own training step and optimizer."""
        return FAMILIES[self.family].whole

    @property
    def monitor(self) -> str:
        """The name under which the objective's metric is logged."""
        return self.objective.metric if self.whole else f"val/{self.objective.metric}"

    def plain(self) -> dict[str, Any]:
        """Return this config as plain values, ready for JSON."""
        return self.model_dump(mode="json")

    def portable(self) -> dict[str, Any]:
        """Return this config for a record: a data path below the current folder made relative.

        Any other path is kept as its last name: a record names no place of a machine.
        """
        plain = self.plain()
        path = plain["data"].get("path")
        if not isinstance(path, str):
            return plain
        resolved, here = Path(path).resolve(), Path.cwd().resolve()
        inside = resolved.is_relative_to(here)
        kept = resolved.relative_to(here).as_posix() if inside else resolved.name
        return {**plain, "data": {**plain["data"], "path": kept}}

    def sha256(self) -> str:
        """Return the hash of the config's canonical JSON: equal configs, equal hash."""
        text = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def brings_own_optimizer(model: Any) -> bool | None:
    """Return whether the raw ``model`` section names a whole module; None if it names nothing."""
    name = _name(model, "family")
    return FAMILIES[name].whole if name in FAMILIES else None


def brings_own_batches(data: Any) -> bool | None:
    """Return whether the raw ``data`` section names a user's data module; None if nothing."""
    name = _name(data, "source")
    return SOURCES[name].datamodule is not None if name in SOURCES else None


def _name(section: Any, tag: str) -> str:
    """Return the name under ``tag`` of a raw section, empty if there is none."""
    name = section.get(tag) if isinstance(section, Mapping) else None
    return name if isinstance(name, str) else ""


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _complete_objective(objective: Mapping[str, Any], task: Any, ours: bool) -> dict[str, Any]:
    filled = dict(objective)
    kind = _name(task, "kind")
    if ours and "metric" not in filled:
        filled["metric"] = TASKS[kind].default_metric if kind in TASKS else ""
    if ours and "direction" not in filled:
        known = METRICS.get(_name(filled, "metric"))
        filled["direction"] = known.direction if known else "maximize"
    return filled


def _conflicts(config: RunConfig) -> list[str]:
    """Name every setting that would have no effect, and every one that is missing for another."""
    own_data = SOURCES[config.source].datamodule is not None
    return [
        *(_module_conflicts(config) if config.whole else []),
        "trainer.batch_size: the data module makes its own batches; remove this setting"
        if own_data and config.trainer.batch_size is not None
        else "",
        "task.sampling: the data module makes its own batches; remove this setting"
        if own_data and getattr(config.task, "sampling", "none") != "none"
        else "",
        "task: the module and its data module bring their own; remove this section"
        if own_data and config.whole and config.task is not None
        else "",
        f"task: missing; one of: {', '.join(TASKS)}"
        if config.task is None and not (own_data and config.whole)
        else "",
        "" if config.whole or config.task is None else _metric_conflict(config),
        *_target_conflicts(config),
        *_series_conflicts(config),
        *_mixing_conflicts(config),
        *_averaging_conflicts(config),
        f"trainer.compile: {config.family}, a whole LightningModule, compiles itself; remove this"
        if config.whole and config.trainer.compile
        else "",
        "trainer.processes: folds are trained one by one in one process; remove this setting"
        if config.n_folds is not None and config.trainer.processes > 1
        else "",
    ]


def _target_conflicts(config: RunConfig) -> list[str]:
    """Name what does not fit the kind of task, in the data."""
    data, kind = config.data, str(config.kind)
    found: list[str] = []
    if not isinstance(data, SourceConfig) or config.task is None:
        return found
    if kind not in CLASSIFICATION and data.split == "stratified":
        what = "a row has no single class" if kind == "multilabel" else "numbers have no classes"
        found.append(f"data.split: {what} to stratify by; remove this setting")
    if kind not in NUMBERS and data.prepare.target != PrepareConfig().target:
        what = "labels" if kind == "multilabel" else "classes"
        found.append(f"data.prepare.target: {what} are not scaled; remove this setting")
    if isinstance(data, TableConfig | ImageCsvConfig):
        several = not isinstance(data.target, str)
        if several and kind not in ("regression", "multilabel"):
            found.append(f"data.target: {kind} predicts one column; name it without brackets")
        if not several and kind == "multilabel":
            found.append("data.target: multilabel predicts several columns; [one, another]")
    return found


def _series_conflicts(config: RunConfig) -> list[str]:
    """Name what has no effect on a series, and what has one on a series alone."""
    data = config.data
    if not isinstance(data, SourceConfig):
        return []
    table = data if isinstance(data, TableConfig) else None
    if config.kind != "forecasting":
        lone = table is not None and table.time is not None and table.split != "time"
        return ["data.time: has no effect without split: time; remove this setting"] * lone
    found = {
        "split": data.split not in (None, "time"),
        "split_seed": bool(data.split_seed),
        "folds": data.folds is not None,
        "duplicates": data.duplicates != "keep",
    }
    why = "a series is cut by time alone; remove this setting"
    lines = [f"data.{name}: {why}" for name, without in found.items() if without]
    if table is not None and table.text is not None:
        lines.append("data.text: forecasting predicts from numbers; remove this setting")
    return lines


def _module_conflicts(config: RunConfig) -> list[str]:
    brings = f"{config.family} is a whole LightningModule with its own"
    found = [
        f"{section}: {brings} configure_optimizers; remove this section"
        for section in ("optimizer", "schedule")
        if getattr(config, section) is not None
    ]
    default = TASKS[str(config.kind)].config() if config.task is not None else None
    if isinstance(config.task, ForecastingConfig):
        known = ForecastingConfig()
        default = config.task.model_copy(update={"loss": known.loss, "level": known.level})
    if config.task != default:
        found.append(f"task: {brings} loss; keep only task.kind")
    return found


def _averaging_conflicts(config: RunConfig) -> list[str]:
    """Name what stands beside an optimizer that averages, in the place of that."""
    name = str(getattr(config.optimizer, "name", ""))
    if name not in OPTIMIZERS or not OPTIMIZERS[name].averages:
        return []
    instead = f"{name} averages its steps instead; remove this"
    return [
        f"schedule: {instead} section" if config.schedule != SCHEDULES["constant"].config() else "",
        "" if is_no_average(config.trainer.averaging) else f"trainer.averaging: {instead} setting",
    ]


def _mixing_conflicts(config: RunConfig) -> list[str]:
    """Name what mixes rows where the loss cannot take the mixed targets."""
    if not isinstance(config.data, SourceConfig):
        return []
    loss = getattr(config.task, "loss", None)
    why = "focal loss takes no mixed targets" if isinstance(loss, FocalConfig) else ""
    if config.whole:
        why = f"{config.family}, a whole LightningModule, may not know mixed targets"
    return [f"data.augment.{name}: {why}; remove it" for name in config.data.augment.of_rows if why]


def _metric_conflict(config: RunConfig) -> str:
    metric, kind = config.objective.metric, str(config.kind)
    fitting = [name for name, entry in METRICS.items() if kind in entry.kinds]
    if metric not in METRICS or kind not in METRICS[metric].kinds:
        return f"objective.metric: {kind} has no metric {metric!r}; {suggest(metric, fitting)}"
    loss = getattr(config.task, "loss", config.task)
    lacking = [name for name in METRICS[metric].takes if not hasattr(loss, name)]
    if lacking:
        what = f"{metric} takes the {lacking[0]} of the loss, and this one has none"
        return f"objective.metric: {what}; task.loss: {{name: {lacking[0]}}}"
    direction = METRICS[metric].direction
    if config.objective.direction != direction:
        return f"objective.direction: {metric} is to {direction}; remove this setting"
    return ""
