"""Config models of the search: budget, samplers, pruners."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hpo.grammar.nodes import Scalar
from lightning_modules.registry import Registry
from lightning_modules.settings import Settings, Tagged, conflict

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def seconds(text: str) -> float:
    """Return the seconds of a duration such as ``90s``, ``10m``, ``1h30m``.

    >>> seconds("1h30m")
    5400.0

    Raises:
        ValueError: if ``text`` is no duration, or is zero.
    """
    match = _DURATION.fullmatch(text)
    parts = [float(part or 0) for part in match.groups()] if match else []
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise ValueError(f"{text!r} is no duration; write 90s, 10m or 1h30m")
    return total


def _duration(text: str) -> str:
    seconds(text)
    return text


def _unit(value: Any) -> Any:
    """Refuse a bare number, and say how it is written as seconds."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < 1e9:
        return value
    minutes = "" if value % 60 else f" or {value // 60}m"
    raise ValueError(f"{value} is no duration; write {value}s{minutes}")


Duration = Annotated[str, BeforeValidator(_unit), AfterValidator(_duration)]
"""Text such as ``90s``, ``10m`` or ``1h30m``."""


class BudgetConfig(Settings):
    """When the study ends: whichever limit comes first; totals over every call."""

    trials: int | None = Field(None, ge=1)
    """Complete, pruned and failed ones."""
    epochs: int | None = Field(None, ge=1)
    """Of all trials together."""
    time: Duration | None = None
    """By the clock, while the study runs."""

    @model_validator(mode="after")
    def _limited(self) -> "BudgetConfig":
        if self.trials is None and self.epochs is None and self.time is None:
            raise ValueError("has no limit; set trials, epochs or time")
        return self

    @property
    def time_s(self) -> float | None:
        """The limit of wall-clock time, seconds."""
        return None if self.time is None else seconds(self.time)


class Limit(Settings):
    """A limit on what a trial's network may cost."""

    max: int | float = Field(gt=0)


class ConstraintsConfig(Settings):
    """What a network may cost; a config over it is not trained, and the sampler learns that."""

    n_parameters: Limit | None = None
    """Numbers that are learned."""
    size_mb: Limit | None = None
    """Megabytes (1e6) of its weights."""
    latency_ms: Limit | None = None
    """Milliseconds of one row through it on the CPU: the median, measured once before training."""

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: float(limit.max) for name, limit in found.items() if limit is not None}


class TpeConfig(Settings):
    """Tree-structured Parzen estimator, joint over each branch (Bergstra et al., 2011)."""

    name: Literal["tpe"] = "tpe"
    n_startup_trials: int = Field(10, ge=0)
    """How many trials are random before the model proposes."""
    n_ei_candidates: int = Field(24, ge=1)
    """Of how many drawn points the best is proposed."""


class RandomConfig(Settings):
    """Independent random values."""

    name: Literal["random"] = "random"


class GridConfig(Settings):
    """Every combination of choices, whole numbers and steps, in the order of the file."""

    name: Literal["grid"] = "grid"


class QmcConfig(Settings):
    """A scrambled Sobol sequence: more even than random."""

    name: Literal["qmc"] = "qmc"


class GpConfig(Settings):
    """Gaussian process with expected improvement; for spaces without branches."""

    name: Literal["gp"] = "gp"
    n_startup_trials: int = Field(10, ge=0)


class HyperbandConfig(Settings):
    """Hyperband (Li et al., 2018): brackets of successive halving, from 1 validation up."""

    name: Literal["hyperband"] = "hyperband"
    min_resource: int = Field(1, ge=1)
    """Validations before the first decision."""
    reduction_factor: int = Field(3, ge=2)
    """One in so many goes on at each rung."""


class MedianConfig(Settings):
    """Stop a trial whose best value so far is below the median at the same validation."""

    name: Literal["median"] = "median"
    n_startup_trials: int = Field(5, ge=0)
    """Nothing is stopped before so many trials are complete."""
    n_warmup_validations: int = Field(0, ge=0)
    """Nothing is stopped before so many validations of a trial."""
    n_min_trials: int = Field(3, ge=1)
    """Nothing is stopped at a validation that fewer trials have reached."""


class PercentileConfig(Settings):
    """Stop a trial that is not among the best ``percentile`` per cent at the same validation."""

    name: Literal["percentile"] = "percentile"
    percentile: float = Field(25.0, gt=0, lt=100)
    n_startup_trials: int = Field(5, ge=0)
    n_warmup_validations: int = Field(0, ge=0)
    n_min_trials: int = Field(3, ge=1)


class AshaConfig(Settings):
    """Asynchronous successive halving (Li et al., 2020)."""

    name: Literal["asha"] = "asha"
    min_resource: int = Field(1, ge=1)
    reduction_factor: int = Field(3, ge=2)


class NoPrunerConfig(Settings):
    """Every trial runs to its end."""

    name: Literal["none"] = "none"


@dataclass(frozen=True)
class Strategy:
    """A sampler or pruner by name; `hpo.strategies` makes the Optuna object."""

    config: type[Settings]


SAMPLERS: Registry[Strategy] = Registry("sampler")
for _name, _config in (
    ("tpe", TpeConfig),
    ("random", RandomConfig),
    ("grid", GridConfig),
    ("qmc", QmcConfig),
    ("gp", GpConfig),
):
    SAMPLERS.register(_name)(Strategy(config=_config))

PRUNERS: Registry[Strategy] = Registry("pruner")
for _pruner, _settings in (
    ("hyperband", HyperbandConfig),
    ("median", MedianConfig),
    ("percentile", PercentileConfig),
    ("asha", AshaConfig),
    ("none", NoPrunerConfig),
):
    PRUNERS.register(_pruner)(Strategy(config=_settings))


class SearchConfig(Settings):
    """How configs are proposed and stopped. A bare name stands for its default settings."""

    sampler: Annotated[Settings, Tagged(SAMPLERS, "name")] = TpeConfig()
    """What proposes configs."""
    pruner: Annotated[Settings, Tagged(PRUNERS, "name")] = HyperbandConfig()
    """What stops trials that are not worth going on with."""
    seed: int = Field(0, ge=0, lt=2**32)
    """All chance of the study follows from it."""
    reproducible: bool = False
    """With W workers, propose and prune trial n by the trials up to n - W alone: the same seed and
    W give the same study, whatever the timing."""
    retries: int = Field(2, ge=0)
    """How often a trial that the machine killed is started again."""
    keep_checkpoints: int = Field(10, ge=1)
    """How many of the best trials keep their weights; a record trains again to the same bits."""
    trial_timeout: Duration | None = None
    """How long one trial may take; it fails then."""
    min_free_gb: float = Field(0.1, ge=0)
    """No trial is started with less room on the disk: the study stops, and goes on later."""
    duplicates: Literal["reuse", "train"] = "reuse"
    """What becomes of a config that was proposed before: it takes the outcome that is known, or is
    trained once more, with another seed."""
    audit: float = Field(0.0, ge=0, lt=1)
    """The share of the trials that the pruner would stop, and that run on to show what is lost."""
    first: list[dict[str, Scalar]] = Field([], exclude_if=lambda first: not first)
    """Parameters of the trials that come right after the defaults, by their dotted paths; what is
    left out is drawn. `hpo advise --write` puts the best of an earlier study here."""
    trial_memory_gb: float | None = Field(None, gt=0)
    """How much memory one trial's process may hold; it fails then."""

    @model_validator(mode="after")
    def _audits_something(self) -> "SearchConfig":
        if self.audit and isinstance(self.pruner, NoPrunerConfig):
            raise conflict("audit: has no effect without a pruner; remove it, or choose a pruner")
        return self

    @model_validator(mode="after")
    def _has_room_for_first(self) -> "SearchConfig":
        if self.first and isinstance(self.sampler, GridConfig | QmcConfig):
            raise conflict(
                "first: a grid or a sequence has its own points; remove it, or use another sampler"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _names(cls, values: Any) -> Any:
        return spelled_out(values) if isinstance(values, dict) else values


def spelled_out(search: Mapping[str, Any]) -> dict[str, Any]:
    """Return raw settings of the search with the bare name of a sampler or pruner as a mapping.

    >>> spelled_out({"pruner": "median", "seed": 1})
    {'pruner': {'name': 'median'}, 'seed': 1}
    """
    bare = [key for key in ("sampler", "pruner") if isinstance(search.get(key), str)]
    return {**search, **{key: {"name": search[key]} for key in bare}}
