"""Before a study runs: a few batches of every family's default config must train."""

from dataclasses import dataclass

from hpo.errors import UsageError
from hpo.protocol import ProbeOrder
from hpo.space import SECTIONS
from hpo.spec import StudySpec
from hpo.workers import Workers
from lightning_modules.config import RunConfig
from lightning_modules.plugins import loaded_plugins
from lightning_modules.task import ForecastingConfig


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A family's default config and what its batches showed."""

    config: RunConfig
    n_parameters: int
    n_batches: int
    """Training batches of an epoch."""
    epoch_s: float
    """Seconds of an epoch with its validation, extrapolated."""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What trying the defaults showed."""

    tried: list[Tried]
    data: dict[str, str | None]
    """Hashes of the data and of their split."""


def try_families(spec: StudySpec, workers: Workers, *, n_batches: int = 1) -> Preflight:
    """Train some batches of every family's default config; prepare what else is searched of data.

    Raises:
        UsageError: if one does not train, or does not log the objective's metric; if the data
            cannot be prepared in one of the ways that are searched, or this machine cannot
            compute in a precision that is, or lacks the package of an optimizer that is.
    """
    configs = [spec.space.resolve(default.params) for default in spec.space.defaults()]
    end = workers.probe(
        ProbeOrder(
            configs=[config.plain() for config in configs],
            others=[config.plain() for config in _others(spec, configs)],
            plugins=[plugin.name for plugin in loaded_plugins()],
            n_batches=n_batches,
            limits=spec.limits,
        )
    )
    if end.mistake is not None:
        where, what, hint = end.mistake
        known = where.partition(".")[0] in (*SECTIONS, "constraints")
        raise UsageError(spec.space.where(where) if known else where, what, hint)
    tried = [
        Tried(
            config=config,
            n_parameters=int(probe["n_parameters"]),
            n_batches=int(probe["n_batches"]),
            epoch_s=probe["epoch_s"],
        )
        for config, probe in zip(configs, end.probes, strict=True)
    ]
    return Preflight(tried=tried, data=end.data)


def _others(spec: StudySpec, tried: list[RunConfig]) -> list[RunConfig]:
    """Return a config for every preparation, precision and optimizer that no default shows."""
    seen = {_what_depends_on_data_and_machine(config) for config in tried}
    found = []
    for config in spec.space.corners():
        mark = _what_depends_on_data_and_machine(config)
        if mark not in seen:
            seen.add(mark)
            found.append(config)
    return found


def _what_depends_on_data_and_machine(config: RunConfig) -> str:
    trainer, optimizer = config.trainer, getattr(config.optimizer, "name", "")
    of_machine = f"{trainer.precision} {trainer.accelerator} {optimizer}"
    steps = config.task if isinstance(config.task, ForecastingConfig) else ""  # they cut the data
    return f"{config.data.model_dump_json()} {steps} {of_machine}"
