"""A child: carries out one order, reports to its listener, and says how it ended. No Optuna."""

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import psutil
import torch

from hpo.loggers import TrialLoggers
from hpo.measuring import machine_of, measure_family
from hpo.pictures import Gallery
from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.cache import stamp, without_augment
from lightning_modules.data.config import SourceConfig
from lightning_modules.errors import HpoError, TrialFailed
from lightning_modules.feasible import Infeasible, measure_config, refuse_unmeasurable
from lightning_modules.optimizers import refuse_missing
from lightning_modules.phases import phase, stopwatch, timed
from lightning_modules.plugins import load_plugin
from lightning_modules.probe import try_config
from lightning_modules.ranks import joined
from lightning_modules.result import Listener, RunResult
from lightning_modules.task import ForecastingConfig
from lightning_modules.train import follow, refuse_precision, train
from lightning_modules.watch import Abandoned

KEPT_PREPARATIONS = 4
_prepared: dict[str, RunData] = {}


def carry_out(order: TrialOrder, listener: Listener) -> TrialEnd:
    """Train the config of ``order``; whatever it raises becomes part of the answer.

    Args:
        order: what to do; it says whether this is one of several processes that train together.
        listener: of the first of them; the others do what it answers.
    """
    if order.asked_s is None:
        with phase("other"):
            return _carry_out(order, listener)
    with stopwatch(since=order.asked_s) as watch:
        end = _carry_out(order, listener)
    return end.model_copy(update={"phases": {**watch.seconds}})


def _carry_out(order: TrialOrder, listener: Listener) -> TrialEnd:
    try:
        with phase("start-up"):
            for plugin in order.plugins:
                load_plugin(plugin)
        config = RunConfig.model_validate(order.config)
        cache = None if order.cache is None else Path(order.cache)
        opened = timed("data")(prepared_data if cache is None else partial(open_data, cache=cache))
        data = opened(config)
        meeting = None if order.meeting is None else Path(order.meeting)
        result: RunResult | None = None
        measured: dict[str, float] = {}
        if order.rank == 0:
            room = room_bytes(config, order.memory_bytes)
            measured = measure_config(config, data, order.limits, room_bytes=room)
        with joined(config, rank=order.rank, meeting=meeting):
            if order.rank:
                follow(config, Path(order.folder), data=data)
            else:
                with _logging(order, config) as loggers:
                    result = train(
                        config,
                        Path(order.folder),
                        report=listener,
                        data=data,
                        loggers=loggers,
                        show=_gallery(order, config, data),
                        open_fold=opened,
                    )
                    with phase("records"):
                        loggers.ended(result)
    except Abandoned:
        return TrialEnd(number=order.number, outcome="abandoned")
    except Infeasible as error:
        found = {"measured": error.measured, "violation": error.violation}
        return _failed(order, None, error.reason, str(error)).model_copy(update=found)
    except TrialFailed as error:
        return _failed(order, error, error.reason, str(error))
    except HpoError as error:
        return _failed(order, error, "error", str(error))
    except Exception as error:  # noqa: BLE001  (the border of a trial: recorded, the study goes on)
        lines = str(error).splitlines()
        what = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
        return _failed(order, error, "error", what)
    return TrialEnd(number=order.number, outcome="result", result=result, measured=measured)


@contextmanager
def _logging(order: TrialOrder, config: RunConfig) -> Iterator[TrialLoggers]:
    """Give the loggers of a trial, and close them however it ends."""
    loggers = TrialLoggers(
        order.loggers,
        study=order.study,
        number=order.number,
        folder=Path(order.folder),
        config=config,
    )
    try:
        yield loggers
    finally:
        with phase("records"):
            loggers.close()


def _gallery(order: TrialOrder, config: RunConfig, data: RunData) -> Gallery:
    """Return who draws the best validation of a trial."""
    split = "validation" if config.n_folds is None else "validation of the first fold"
    study = f"{order.study}, " if order.study else ""
    return Gallery(str(config.kind), data, f"{study}trial {order.number}, {split}")


def room_bytes(config: RunConfig, memory_bytes: float | None) -> float:
    """Return the memory that there is for a run on the device that it will be trained on.

    Args:
        config: the run.
        memory_bytes: what its process may hold, what it holds already included; None is all of
            the machine.
    """
    if config.trainer.accelerator != "cpu" and torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[1])
    if memory_bytes is None:
        return float(psutil.virtual_memory().total)
    return memory_bytes - psutil.Process().memory_info().rss


def probe(order: ProbeOrder) -> ProbeEnd:
    """Try the configs of ``order``; a user's mistake is part of the answer."""
    try:
        for plugin in order.plugins:
            load_plugin(plugin)
        configs = [RunConfig.model_validate(config) for config in order.configs]
        probes = [
            asdict(try_config(config, prepared_data(config), n_batches=order.n_batches))
            for config in configs
        ]
        for config in configs:
            refuse_unmeasurable(config, prepared_data(config), order.limits)
        for config in map(RunConfig.model_validate, order.others):
            refuse_precision(config)
            if config.optimizer is not None:
                refuse_missing(config.optimizer)
            data = prepared_data(config)
            if data.prepared is not None:
                data.module(config)  # refuses augmentation that cannot act on these data
        choices = [
            measure_family(family, prepared_data(RunConfig.model_validate(family.default)))
            for family in order.families
        ]
        machine = machine_of(configs[0]) if choices else None
        hashes = data_hashes(configs[0])
        return ProbeEnd(probes=probes, data=hashes, choices=choices, machine=machine)
    except HpoError as error:
        mistake = (error.where, error.what, error.hint)
        return ProbeEnd(probes=[], data={}, mistake=mistake)


def data_hashes(config: RunConfig) -> dict[str, str | None]:
    """Return the hashes of a config's data and split; None for a data module of the user's own."""
    return prepared_data(config).hashes


def prepared_data(config: RunConfig) -> RunData:
    """Return the data of ``config``, prepared once for all runs of this process that share them.

    A file that has changed since is read again.
    """
    task, data = config.task, without_augment(config.plain()["data"])
    steps = [task.window, task.horizon] if isinstance(task, ForecastingConfig) else []
    key = json.dumps([data, config.kind, *steps, stamp(config.data)], sort_keys=True)
    if key not in _prepared:
        n_folds = config.data.folds if isinstance(config.data, SourceConfig) else None
        while len(_prepared) >= max(KEPT_PREPARATIONS, n_folds or 0):
            del _prepared[next(iter(_prepared))]
        _prepared[key] = open_data(config)
    return _prepared[key]


def _failed(order: TrialOrder, error: Exception | None, reason: str, what: str) -> TrialEnd:
    text = "".join(traceback.format_exception(error)) if error is not None else ""
    return TrialEnd.model_validate(
        {
            "number": order.number,
            "outcome": "failed",
            "reason": reason,
            "what": what,
            "traceback": text,
            "failed_s": time.monotonic(),
        }
    )
