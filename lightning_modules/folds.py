"""A run over folds: one training after the other, each reported as a validation of the whole."""

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from lightning_modules.build import RunData
from lightning_modules.config import RunConfig
from lightning_modules.curve import CURVE, write_curve
from lightning_modules.durable import full_disk, write_text
from lightning_modules.result import SECONDS, SPEED, Command, Listener, RunResult, Validation
from lightning_modules.running import BEST_CHECKPOINT
from lightning_modules.watch import Abandoned

KEPT = (BEST_CHECKPOINT, "preparation.json", "confusion.svg", "residuals.svg")
"""What the first fold's network leaves in the folder of the run, where it left them."""
PICTURES = ("confusion.svg", "residuals.svg")
"""What the other folds do not leave; their networks stay, each in the folder of its fold."""
_RESULT = "result.json"


class TrainOnce(Protocol):
    """Train one config, as `lightning_modules.train.train` does."""

    def __call__(
        self, config: RunConfig, folder: Path, *, report: Listener | None, data: RunData
    ) -> RunResult:
        """Return what came of it."""
        ...


def train_folds(
    config: RunConfig,
    folder: Path,
    *,
    report: Listener | None,
    first: RunData,
    open_fold: Callable[[RunConfig], RunData],
    train_once: TrainOnce,
) -> RunResult:
    """Train ``config`` once per fold; the mean over the folds is the outcome.

    After each fold its mean with those before is reported, so that a pruner can end the run there.
    A fold whose result is on the disk is not trained again. The network of the first fold, which
    `lightning_modules.restore` brings back, is left in ``folder``, those of the others in the
    folders of their folds: together they have predicted every row without having trained on it.

    Args:
        config: every decision; ``data.folds`` of them.
        folder: where to; each fold has a folder in it.
        report: told of each fold, and of each batch in it.
        first: the data of the first fold.
        open_fold: opens the data of another.
        train_once: trains one fold.

    Raises:
        TrialFailed: as a single training does; no fold is left out of the mean.
        Abandoned: if ``report`` answered so; the same call goes on where this one stood.
    """
    results: list[RunResult] = []
    reported: list[Validation] = []
    stopped = False
    for fold in range(config.n_folds or 0):
        one = of_fold(config, fold)
        place = folder / f"fold-{fold + 1}"
        result = _read(place / _RESULT)
        if result is None:
            with full_disk(folder.name):
                place.mkdir(exist_ok=True)
            data = first if fold == 0 else open_fold(one)
            result = train_once(one, place, report=_Within(report), data=data)
            _keep(place, result, first=fold == 0)
        results.append(result)
        reported.append(_validation(config, results))
        write_curve(folder / CURVE, reported)
        answer = Command.CONTINUE if report is None else report.validated(reported[-1])
        if answer is Command.ABANDON:
            raise Abandoned
        stopped = answer is Command.STOP
        if stopped:
            break
    return _together(results, reported[-1], stopped=stopped)


def of_fold(config: RunConfig, fold: int) -> RunConfig:
    """Return the config of one fold alone, counted from 0."""
    data = config.data.model_copy(update={"fold": fold})
    return config.model_copy(update={"data": data})


class _Within:
    """The listener of one fold: its validations are its own, its batches those of the run."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        return Command.CONTINUE if self._listener is None else self._listener.batch_ended()


def _keep(place: Path, result: RunResult, *, first: bool) -> None:
    """File the result of a fold, last; what the first one left goes to the folder of the run."""
    if first:
        for name in KEPT:
            if (place / name).is_file():
                os.replace(place / name, place.parent / name)
    else:
        for name in PICTURES:
            (place / name).unlink(missing_ok=True)
    write_text(place / _RESULT, result.model_dump_json(indent=2) + "\n")


def _read(path: Path) -> RunResult | None:
    try:
        return RunResult.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _validation(config: RunConfig, results: list[RunResult]) -> Validation:
    """Return the mean of the folds so far, as one validation of the run."""
    names = set.intersection(*(set(one.metrics) for one in results))
    return Validation(
        validation=len(results),
        epoch=sum(one.epochs_run for one in results),
        step=sum(one.steps for one in results),
        seconds=sum(one.seconds for one in results),
        objective=statistics.fmean(one.value for one in results),
        best=True,
        metrics={
            name: statistics.fmean(one.metrics[name] for one in results) for name in sorted(names)
        },
        pace=_pace(results[-1]),
    )


def _pace(last: RunResult) -> dict[str, float]:
    """Return what the training of the fold that has just ended took."""
    known = {SECONDS: last.train_seconds, SPEED: last.samples_per_second}
    return {name: value for name, value in known.items() if value is not None}


def _together(results: list[RunResult], mean: Validation, *, stopped: bool) -> RunResult:
    early = any(one.stopped_by == "early_stopping" for one in results)
    changed: dict[str, Any] = {
        "value": mean.objective,
        "best_validation": mean.validation,
        "best_epoch": statistics.fmean(one.best_epoch for one in results),
        "metrics": mean.metrics,
        "stopped_by": "pruner" if stopped else "early_stopping" if early else "max_epochs",
        "epochs_run": mean.epoch,
        "validations": len(results),
        "steps": mean.step,
        "seconds": mean.seconds,
        "train_seconds": _sum([one.train_seconds for one in results]),
        "samples_per_second": _mean([one.samples_per_second for one in results]),
        "folds": [one.value for one in results],
    }
    return results[0].model_copy(update=changed)


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(values: list[float | None]) -> float | None:
    total = _sum(values)
    return None if total is None else total / len(values)
