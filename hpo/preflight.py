"""Before a study is made: one batch of every family's default config must train."""

from dataclasses import dataclass

from hpo.child import prepared_data
from hpo.logs import log_to
from hpo.spec import StudySpec
from lightning_modules.config import RunConfig
from lightning_modules.probe import Probe, try_config


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A family's default config and what one batch of it showed."""

    config: RunConfig
    probe: Probe


def try_families(spec: StudySpec, *, n_batches: int = 1) -> list[Tried]:
    """Train one batch of every family's default config.

    Raises:
        UsageError: if one does not train, or does not log the objective's metric.
    """
    tried = []
    with log_to(None):
        for default in spec.space.defaults():
            config = spec.space.resolve(default.params)
            probe = try_config(config, prepared_data(config), n_batches=n_batches)
            tried.append(Tried(config=config, probe=probe))
    return tried
