"""Before a study runs: a few batches of every family's default config must train."""

from dataclasses import dataclass

from hpo.errors import UsageError
from hpo.protocol import ProbeOrder
from hpo.spec import StudySpec
from hpo.workers import Workers
from lightning_modules.config import RunConfig
from lightning_modules.plugins import loaded_plugins


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
    """Train some batches of every family's default config.

    Raises:
        UsageError: if one does not train, or does not log the objective's metric.
    """
    configs = [spec.space.resolve(default.params) for default in spec.space.defaults()]
    end = workers.probe(
        ProbeOrder(
            configs=[config.plain() for config in configs],
            plugins=[plugin.name for plugin in loaded_plugins()],
            n_batches=n_batches,
        )
    )
    if end.mistake is not None:
        raise UsageError(*end.mistake)
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
