"""Before a study runs: a few batches of every family's default config must train."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.choice import FamilyChoice, FamilyOrder, Machine, two_threads
from hpo.errors import UsageError
from hpo.protocol import ProbeEnd, ProbeOrder
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
    choices: dict[str, FamilyChoice] = field(default_factory=dict)
    """How each family is computed, where that was to be measured."""
    machine: Machine | None = None
    """Which measured it."""


def try_families(
    spec: StudySpec, workers: Workers, *, n_batches: int = 1, choose: Sequence[str] = ()
) -> Preflight:
    """Train some batches of every family's default config; prepare what else is searched of data.

    Args:
        spec: the study.
        workers: who trains them.
        n_batches: how many batches.
        choose: settings of `trainer` that are chosen by measuring where the study names none.

    Raises:
        UsageError: if one does not train, or does not log the objective's metric; if the data
            cannot be prepared in one of the ways that are searched, or this machine cannot
            compute in a precision that is, or lacks the package of an optimizer that is.
    """
    configs = [spec.space.resolve(default.params) for default in spec.space.defaults()]
    order = ProbeOrder(
        configs=[config.plain() for config in configs],
        others=[config.plain() for config in _others(spec, configs)],
        plugins=[plugin.name for plugin in loaded_plugins()],
        n_batches=n_batches,
        limits=spec.limits,
        families=_families(spec, configs, workers, choose),
    )
    end = workers.probe(order)
    if end.mistake is not None and order.families:  # the largest config may end its process
        end = workers.probe(order.model_copy(update={"families": []}))
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
    choices = _choices(configs, end) if order.families else {}
    return Preflight(tried=tried, data=end.data, choices=choices, machine=end.machine)


def _families(
    spec: StudySpec, configs: Sequence[RunConfig], workers: Workers, choose: Sequence[str]
) -> list[FamilyOrder]:
    """Return what is to be measured; nothing of a study that is to repeat itself."""
    open_ = [name for name in choose if name not in spec.space.names("trainer")]
    if spec.search.reproducible or not open_:
        return []
    budget, corners = spec.budget, list(spec.space.corners())
    return [
        FamilyOrder(
            default=config.plain(),
            corners=_unlike(corners[1::2] + corners[::2], config.family),
            open=open_,
            trials=_most_trials(spec, config),
            seconds=None if budget.time_s is None else budget.time_s * workers.capacity,
            cores=os.cpu_count() or 1,
        )
        for config in configs
    ]


def _most_trials(spec: StudySpec, config: RunConfig) -> int | None:
    """Return how many whole trainings of a config the budget allows; None if only time limits."""
    budget = spec.budget
    limits = [budget.trials] if budget.trials is not None else []
    limits += [-(-budget.epochs // config.most_epochs)] if budget.epochs is not None else []
    return min(limits, default=None)


def _unlike(corners: Sequence[RunConfig], family: str) -> list[dict[str, Any]]:
    """Return those of a family whose networks are not the same."""
    found = {one.model.model_dump_json(): one.plain() for one in corners if one.family == family}
    return list(found.values())


def _choices(configs: Sequence[RunConfig], end: ProbeEnd) -> dict[str, FamilyChoice]:
    """Return the choices by family, with the number of threads that suits all of them."""
    choices = end.choices
    two = bool(choices) and all(
        one.ones and two_threads(one.ones, one.twos or 0) for one in choices
    )
    if two:
        choices = [c.model_copy(update={"chosen": {**c.chosen, "threads": 2}}) for c in choices]
    return {config.family: one for config, one in zip(configs, choices, strict=False)}


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
