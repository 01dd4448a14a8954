"""A run: train one config once, into one folder."""

import json
import logging
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import Logger
from torch import Tensor

from lightning_modules.accumulation import WholeSteps
from lightning_modules.averaging import AfterValidation, averaging_of
from lightning_modules.build import RunData, build_module, open_data
from lightning_modules.checkpoint import PlainCheckpointIO, load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.costs import costs_of
from lightning_modules.durable import full_disk, write_text
from lightning_modules.effort import speed
from lightning_modules.errors import TrialFailed, UsageError
from lightning_modules.factories import factories_looked_up_once
from lightning_modules.folds import train_folds
from lightning_modules.interrupts import OwnSignals
from lightning_modules.outcome import forget_outcome
from lightning_modules.phases import phase
from lightning_modules.program import compile_network, refuse_compiler, uncompiled
from lightning_modules.ranks import (
    Agreed,
    Follow,
    of_the_first,
    refuse_alone,
    trainer_arguments,
    whole_validation,
)
from lightning_modules.result import DataRecord, Listener, RunResult
from lightning_modules.running import forget_running, newest_sound
from lightning_modules.seeds import derive
from lightning_modules.steps import use_lean_steps
from lightning_modules.watch import Watch

NO_ROWS = "the tensors of a batch have different lengths: how many rows it has is not known"
_log = logging.getLogger(__name__)


class Show(Protocol):
    """Is shown what the best validation of a run predicted."""

    def __call__(self, folder: Path, predicted: Tensor, truth: Tensor) -> None:
        """Take the run's folder, what was predicted (`SupervisedModule.outlook`) and the truth."""
        ...


def train(
    config: RunConfig,
    folder: Path,
    *,
    report: Listener | None = None,
    data: RunData | None = None,
    loggers: Callable[[Path], list[Logger]] | None = None,
    show: Show | None = None,
    open_fold: Callable[[RunConfig], RunData] = open_data,
) -> RunResult:
    """Train ``config`` once, or once per fold (`lightning_modules.folds`).

    Leaves ``config.json``, ``curve.csv``, ``best.ckpt`` (weights of the best validation), and
    ``preparation.json`` where the data are ours. Equal config, program, versions and threads give
    equal bits on a CPU. On data of ours, a run that was abandoned or killed leaves checkpoints,
    and the same call goes on from the newest that is sound, or starts again, to the bits of a run
    that never stopped.

    Args:
        config: every decision.
        folder: where to; it is created, and holds nothing, or the same run, abandoned.
        report: told of every validation and batch; its answer is obeyed.
        data: from `open_data` for the same ``data`` and ``task`` sections; None opens them here.
        loggers: gives the Lightning loggers that see what is logged, by the folder of the run; of
            folds, each has its own.
        show: told, when a run of ours has come to its end, what its best validation predicted.
        open_fold: opens the data of the second fold and those after it.

    Raises:
        UsageError: if data and config do not fit each other, or the config wants several processes
            and they are not there (`lightning_modules.ranks`).
        TrialFailed: reason ``nan`` (loss or objective not finite), ``oom``, ``disk`` (full, or it
            does not hold what was written), or ``error`` (the objective's metric was never
            logged).
        Abandoned: if ``report`` answered so.
    """
    refuse_alone(config)
    with full_disk(folder.name):
        folder.mkdir(parents=True, exist_ok=True)
    data = open_data(config) if data is None else data
    if config.n_folds is None:
        return _train_once(config, folder, report=report, data=data, loggers=loggers, show=show)
    write_text(folder / "config.json", json.dumps(config.portable(), indent=2) + "\n")
    once = partial(_train_once, loggers=loggers, show=show)
    return train_folds(
        config, folder, report=report, first=data, open_fold=open_fold, train_once=once
    )


def _train_once(
    config: RunConfig,
    folder: Path,
    *,
    report: Listener | None,
    data: RunData,
    loggers: Callable[[Path], list[Logger]] | None,
    show: Show | None,
) -> RunResult:
    report = Agreed(report) if config.trainer.processes > 1 else report
    with steady_threads(config.trainer.threads):
        seed_everything(derive(config.seed, "init"))
        with _memory_failures():
            module = build_module(config, data)
        compile_network(module, config)
        write_text(folder / "config.json", json.dumps(config.portable(), indent=2) + "\n")
        if data.prepared is not None:
            text = data.prepared.fitted.model_dump_json(indent=2)
            write_text(folder / "preparation.json", text + "\n")
        watch = Watch(config, folder, report, resumable=data.prepared is not None)
        told = loggers(folder) if loggers is not None else []
        trainer = make_trainer(config, folder, callbacks=[watch], loggers=told)
        _fit(trainer, module, data, config, of_the_first(config, resume_from(folder)))
        with phase("records"):
            result = _result(config, data, trainer, module, watch)
            if show is not None and watch.outlook is not None and not watch.stopped:
                show(folder, *watch.outlook)
            forget_running(folder)
        return result


def follow(config: RunConfig, folder: Path, *, data: RunData) -> None:
    """Take part in a run as another process than its first, which alone writes and reports.

    Raises:
        UsageError: if data and config do not fit each other, or this process trains alone.
        TrialFailed: reason ``oom``.
        Abandoned: if the first process was told so.
    """
    refuse_alone(config)
    with steady_threads(config.trainer.threads):
        seed_everything(derive(config.seed, "init"))
        with _memory_failures():
            module = build_module(config, data)
        compile_network(module, config)
        trainer = make_trainer(config, folder, callbacks=[Follow(config)])
        _fit(trainer, module, data, config, of_the_first(config, None))


def make_trainer(
    config: RunConfig,
    folder: Path,
    *,
    callbacks: list[pl.Callback],
    loggers: Sequence[Logger] = (),
    **limits: Any,
) -> pl.Trainer:
    """Return a quiet Trainer: no bars, no summaries, no checkpoints of its own.

    Args:
        config: the run.
        folder: the only place it may write to.
        callbacks: beside early stopping, which is added where the config asks for it.
        loggers: Lightning loggers, none by default.
        limits: ``limit_train_batches`` and such, for a trial batch.

    Raises:
        UsageError: if this machine has no device for the precision, or no compiler.
    """
    refuse_precision(config)
    refuse_compiler(config)
    settings = config.trainer
    every = settings.validate_every
    stopping: list[pl.Callback] = []
    if settings.early_stopping is not None:
        stopping.append(
            EarlyStopping(
                config.monitor,
                mode=config.objective.direction[:3],
                patience=settings.early_stopping.patience,
                min_delta=settings.early_stopping.min_delta,
                check_on_train_epoch_end=False,
                strict=False,  # the Watch says what was logged instead
            )
        )
    averaging = averaging_of(config)
    before = [WholeSteps(), *([averaging] if averaging else [])]
    after = [AfterValidation(averaging)] if averaging else []
    return _trainer(
        **trainer_arguments(config),
        precision=settings.precision,
        max_epochs=settings.max_epochs,
        gradient_clip_val=settings.gradient_clip,
        accumulate_grad_batches=settings.accumulate,
        check_val_every_n_epoch=every if isinstance(every, int) else 1,
        val_check_interval=every if isinstance(every, float) else 1.0,
        callbacks=[OwnSignals(), *before, *stopping, *callbacks, *after],
        logger=list(loggers) or False,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        inference_mode=True,
        plugins=[PlainCheckpointIO()],
        **limits,
    )


def _trainer(**settings: Any) -> pl.Trainer:
    with factories_looked_up_once():
        return pl.Trainer(**settings)


def refuse_precision(config: RunConfig) -> None:
    """Check that this machine has a device for the config's precision.

    Raises:
        UsageError: for ``16-mixed`` on a CPU, where Lightning would train in another precision.
    """
    wanted = config.trainer.accelerator
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if config.trainer.precision == "16-mixed" and (wanted == "cpu" or not has_gpu):
        hint = "use bf16-mixed or 32-true"
        raise UsageError("trainer.precision", "16-mixed needs a GPU", hint)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def steady_threads(threads: int) -> Iterator[None]:
    """Use that many threads inside an operation, and put the old number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Leave out Lightning's advice on loaders, which the data module of ours does not need."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*The number of training batches.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*is available but not used.*")
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # all validate all rows
        warnings.filterwarnings("ignore", message="Early stopping conditioned on metric.*")
        yield


def resume_from(folder: Path) -> Path | None:
    """Return the checkpoint that a run in ``folder`` goes on from; None makes way for a new one.

    Raises:
        TrialFailed: reason ``disk`` if there is no room for that.
    """
    path = newest_sound(folder)
    if path is not None and _readable(path):
        return path
    forget_running(folder)
    forget_outcome(folder)
    return None


def _readable(path: Path) -> bool:
    """Return whether a checkpoint is one that we read; a user's module may write another."""
    try:
        load_checkpoint(path)
    except UsageError as error:
        _log.warning("%s; the run starts again from its beginning", error)
        return False
    return True


def _fit(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    data: RunData,
    config: RunConfig,
    resume: Path | None,
) -> None:
    batches = data.module(config)
    if config.trainer.processes > 1:
        batches = whole_validation(batches)
    use_lean_steps(trainer, module)
    with _memory_failures(), quiet_lightning():
        trainer.fit(module, datamodule=batches, ckpt_path=resume, weights_only=True)


@contextmanager
def _memory_failures() -> Iterator[None]:
    """Turn running out of memory into a failed trial."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        what = str(error).splitlines()[0] if str(error) else "out of memory"
        raise TrialFailed("oom", what, "a smaller batch or network fits") from error
    except RuntimeError as error:
        if "not enough memory" in str(error) or "can't allocate memory" in str(error):
            what = str(error).splitlines()[0]
            raise TrialFailed("oom", what, "a smaller batch or network fits") from error
        raise


def _result(
    config: RunConfig,
    data: RunData,
    trainer: pl.Trainer,
    module: pl.LightningModule,
    watch: Watch,
) -> RunResult:
    best = watch.best
    if best is None:
        what = "no validation took place"
        raise TrialFailed("error", what, "give validation rows and a val_dataloader")
    stopped: Any = "max_epochs"
    if watch.stopped:
        stopped = "pruner"
    elif trainer.should_stop:
        stopped = "early_stopping"
    with uncompiled():
        costs = costs_of(module, data)
    samples_per_second = speed(watch.train_seconds, watch.train_rows)
    unknown = {} if samples_per_second else {"samples_per_second": NO_ROWS}
    return RunResult(
        value=best.objective,
        best_validation=best.validation,
        best_epoch=best.epoch,
        metrics=best.metrics,
        stopped_by=stopped,
        epochs_run=watch.validations[-1].epoch,
        validations=len(watch.validations),
        steps=trainer.global_step,
        seconds=watch.seconds(),
        train_seconds=round(watch.train_seconds, 6),
        samples_per_second=round(samples_per_second, 3) if samples_per_second else None,
        n_parameters=sum(p.numel() for p in module.parameters()),
        size_bytes=sum(p.numel() * p.element_size() for p in module.parameters()),
        flops=costs.flops,
        latency_ms=costs.latency.get("1"),
        latency=costs.latency,
        null_because={**costs.null_because, **unknown},
        device=str(trainer.strategy.root_device),
        checkpoint=watch.best_checkpoint(),
        data=_data_record(config, data),
    )


def _data_record(config: RunConfig, data: RunData) -> DataRecord:
    prepared, facts = data.prepared, data.facts
    counts = facts.class_counts if facts is not None else None
    share = max(counts) / sum(counts) if counts else math.nan
    return DataRecord(
        source=config.source,
        sha256=prepared.data_sha256 if prepared else None,
        split_sha256=prepared.split_sha256 if prepared else None,
        preparation_sha256=prepared.preparation_sha256 if prepared else None,
        n_rows=dict(prepared.n_rows) if prepared else {},
        classes=list(facts.classes) if facts and facts.classes else None,
        majority_class=share if counts else None,
    )
