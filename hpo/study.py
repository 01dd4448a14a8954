"""Run a study: create or resume it, within its total budget, to its best config."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpo.best import BestConfig, best_of
from hpo.best_writer import BestWriter
from hpo.budget import most_validations, scheduler_of, trial_limits
from hpo.children import Children
from hpo.choice import OPEN, chosen_lines, keep, kept, trainings_per_gpu, with_kept
from hpo.devices import default_workers, gpus_for, refuse_processes
from hpo.errors import EnvironmentFault, RefusedError, StudyError, UsageError
from hpo.folder import (
    create_folder,
    data_differ,
    record_changes,
    refuse,
    settings_differ,
    time_used,
    trials_told,
)
from hpo.layout import DEFAULT_RESULTS, StudyFolder
from hpo.loggers import refuse_loggers
from hpo.logs import log_to
from hpo.preflight import Preflight, try_families
from hpo.proposals import Proposals, grid_points
from hpo.records import TrialRecord, read_record, read_trials, write_leaderboard
from hpo.retention import forget_checkpoints
from hpo.scheduler import Finish, Limits
from hpo.search import GridConfig
from hpo.settle import settle
from hpo.signals import interruptible
from hpo.spec import StudySpec
from hpo.steering.taking import Steering
from hpo.steering.wishes import REQUEST
from hpo.storage.writer import ATTEMPTS, StudyStorage, sqlite_url
from hpo.supervisor import Study, Supervisor, TrialLimits
from hpo.tracking.observers import Observer, StudyEnd, StudyStart
from hpo.tracking.tensorboard import TensorBoardObserver
from hpo.twins import Twins
from hpo.workers import InProcess, Workers
from lightning_modules.config import RunConfig
from lightning_modules.phases import phase, timed
from lightning_modules.plugins import loaded_plugins


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a call of `run_study` came to."""

    folder: StudyFolder
    end: StudyEnd
    signal: int | None
    """The signal that interrupted the study, if one did."""
    budget_set: Mapping[str, int | str] = field(default_factory=dict)
    """The limits of the budget that `hpo budget` changed while it ran."""

    @property
    def best(self) -> BestConfig | None:
        """The best config, None if no trial is complete."""
        if not self.folder.best_config.exists():
            return None
        return read_record(self.folder.best_config, BestConfig)


def run_study(
    spec: StudySpec,
    results: Path = Path(DEFAULT_RESULTS),
    *,
    storage: str | None = None,
    workers: int | Workers = 0,
    observers: Sequence[Observer] = (),
    loggers: Sequence[str] = (),
    allow_change: bool = False,
    began: float | None = None,
    share_cores: bool = False,
) -> StudyOutcome:
    """Run ``spec`` until its total budget is used; the same call again resumes, or does nothing.

    Args:
        spec: the study.
        results: the folder of all studies.
        storage: an Optuna storage URL; one SQLite file under ``results`` by default.
        workers: how many trials are trained at once, each in a process of its own; 0 trains in
            this process. Or who trains them.
        observers: told of everything that happens.
        loggers: where trials log to as well: ``csv``, ``mlflow``, ``wandb`` (`hpo.loggers`).
        allow_change: resume with another space, data, objective or seed all the same, and
            record that.
        began: when this call began, by the machine's monotonic clock; now by default. The time
            of the budget counts from there.
        share_cores: whether ``workers`` may be changed by what is measured: half as many trials of
            two threads each, or several on a GPU.

    Raises:
        UsageError: if there is no logger of a name, a family cannot take the data, a limit of a
            trial is set that training in this process cannot keep, or a trial wants more processes
            than there are GPUs, or than this one; nothing was created.
        RefusedError: if the study exists with another space, data, objective or seed, or the
            storage holds its trials and the folder is gone.
        EnvironmentFault: if a logger's package is not installed, another supervisor runs it, the
            folder cannot be made, or the storage cannot be opened.
        StudyError: if the first trials all failed the same way, or no trial is usable.
    """
    began = time.monotonic() if began is None else began
    if not workers and trial_limits(spec) != TrialLimits():
        what = "trial_timeout and trial_memory_gb need a process of the trial's own"
        raise UsageError("search", what, "use workers, or remove them")
    refuse_loggers(loggers)
    folder = StudyFolder(results / spec.name)
    default = spec.space.resolve(spec.space.defaults()[0].params)
    exists = folder.study_file.exists()
    spec = with_kept(spec, folder) if exists else spec
    sharing = folder if share_cores else None
    trainers = _trainers(workers, spec, sharing)
    folder.refuse_place()
    choose = (*OPEN, "threads") if share_cores else OPEN
    tried = None if exists else _preflight(spec, trainers, choose)
    with folder.owned(), log_to(folder.log):
        made_here = tried is not None and not folder.study_file.exists()
        data: Mapping[str, str | None] = {}
        found: list[str] = []
        if made_here and tried is not None:
            keep(folder, tried.choices, tried.machine)
            create_folder(folder, spec, _in_common(spec, tried, trainers))
            spec = with_kept(spec, folder)
            trainers = _trainers(workers, spec, sharing)
        else:
            spec = with_kept(spec, folder)
            found = settings_differ(folder, spec)
            refuse(folder, [] if allow_change else found)
            if _nothing_to_do(folder, spec):
                return _as_it_was(folder, spec, default, observers)
            data = _in_common(spec, _preflight(spec, trainers), trainers)
            found += data_differ(folder, data)
            refuse(folder, [] if allow_change else found)
        with _nothing_left(folder, made_here), phase("storage"):
            database = StudyStorage(
                storage or sqlite_url(results / "storage.sqlite"),
                study=spec.name,
                direction=default.objective.direction,
                metric=default.objective.metric,
            )
        try:
            with _nothing_left(folder, made_here):
                _refuse_leftovers(database, folder, made_here)
            changes = [] if made_here else record_changes(folder, spec, data, found)
            watchers = [TensorBoardObserver(), *observers]
            study = replace(_study_of(spec, folder, default, began), loggers=loggers)
            return _supervise(study, spec, database, trainers, watchers, changes)
        finally:
            database.close()


def _trainers(workers: int | Workers, spec: StudySpec, sharing: StudyFolder | None) -> Workers:
    """Return who trains; as many as suit what was chosen for the study of ``sharing``, if given."""
    if not isinstance(workers, int):
        return workers
    trainers = [config.trainer for config in spec.space.corners()]
    if workers and sharing is not None:
        workers = default_workers(trainers, per_gpu=trainings_per_gpu(kept(sharing)))
    gpus = gpus_for(trainers) if workers else []
    refuse_processes(trainers, gpus, workers=workers)
    return Children(workers, devices=gpus) if workers else InProcess()


@contextmanager
def _nothing_left(folder: StudyFolder, made_here: bool) -> Iterator[None]:
    """Remove a folder that was made for a study which then could not begin."""
    try:
        yield
    except (EnvironmentFault, RefusedError):
        if made_here:
            shutil.rmtree(folder.path)
        raise


def _refuse_leftovers(database: StudyStorage, folder: StudyFolder, made_here: bool) -> None:
    """Refuse a storage with trials of a study whose folder is gone."""
    trials = len(database.trials()) if made_here else 0
    if trials:
        what = f"the storage has {trials} trials of a study of this name, whose folder is gone"
        hint = "--name NEW starts another study; or remove the storage too, if nobody needs it"
        raise RefusedError(folder.name, what, hint)


@timed("start-up")
def _preflight(spec: StudySpec, workers: Workers, choose: Sequence[str] = ()) -> Preflight:
    """Try the families; measure how they are best computed, as far as that is to be chosen."""
    return try_families(spec, workers, choose=choose)


def _in_common(spec: StudySpec, tried: Preflight, workers: Workers) -> dict[str, str | None]:
    """Return what every call of the study must have in common beside settings."""
    data = tried.data
    return {**data, "workers": str(workers.capacity)} if spec.search.reproducible else data


def _nothing_to_do(folder: StudyFolder, spec: StudySpec) -> bool:
    """Return whether all trials of the budget have ended, and the storage knows."""
    grid = isinstance(spec.search.sampler, GridConfig)
    total = Limits.of(spec.budget, len(grid_points(spec)) if grid else None).trials
    folders = folder.trial_folders()
    ended = [path for path in folders if (path / "result.json").is_file()]
    return total is not None and total <= len(ended) == len(folders) == trials_told(folder)


def _as_it_was(
    folder: StudyFolder, spec: StudySpec, default: RunConfig, observers: Sequence[Observer]
) -> StudyOutcome:
    """Return the outcome of a study that has used its budget; mend what a kill left of it."""
    metric, direction = default.objective.metric, default.objective.direction
    records = read_trials(folder)
    start = StudyStart(
        spec=spec,
        folder=folder,
        metric=metric,
        direction=direction,
        past=records,
        total=len(records),
    )
    for observer in observers:
        observer.study_started(start)
    write_leaderboard(folder, records, direction=direction, metric=metric)
    keep = spec.search.keep_checkpoints
    forget_checkpoints(folder, records, direction=direction, keep=keep)
    best = _best_writer(spec, folder, metric=metric, direction=direction)
    best.catch_up(records, time_s=time_used(folder))
    end = StudyEnd(
        why="budget",
        records=records,
        best=best_of(records, direction),
        new=0,
        seconds=0.0,
        direction=direction,
    )
    for observer in observers:
        observer.study_ended(end)
    _complain(Finish("budget"), end, folder)
    return StudyOutcome(folder=folder, end=end, signal=None)


def _best_writer(
    spec: StudySpec, folder: StudyFolder, *, metric: str, direction: str
) -> BestWriter:
    return BestWriter.of(
        spec,
        folder,
        metric=metric,
        direction=direction,
        plugins=[plugin.name for plugin in loaded_plugins() if not plugin.installed],
    )


def _supervise(
    study: Study,
    spec: StudySpec,
    database: StudyStorage,
    workers: Workers,
    observers: Sequence[Observer],
    changes: Sequence[str],
) -> StudyOutcome:
    folder = study.folder
    records = read_trials(folder)
    supervisor, total = _supervisor_of(study, spec, database, workers, records, observers)
    start = StudyStart(
        spec=spec,
        folder=folder,
        metric=study.metric,
        direction=study.direction,
        past=records,
        total=total,
        chosen=chosen_lines(folder),
    )
    for observer in observers:
        observer.study_started(start)
        for change in changes:
            observer.warned(f"changed since the study began: {change}; trials may not compare")
    began = supervisor.time_s()
    with interruptible(supervisor.interrupt) as received:
        finish = supervisor.run()
    end = StudyEnd(
        why=finish.why,
        records=supervisor.records,
        best=best_of(supervisor.records, study.direction),
        new=len(supervisor.records) - len(records),
        seconds=supervisor.time_s() - began,
        direction=study.direction,
    )
    for observer in observers:
        observer.study_ended(end)
    _complain(finish, end, folder)
    return StudyOutcome(
        folder=folder,
        end=end,
        signal=received[0] if received else None,
        budget_set=supervisor.steering.budget_set,
    )


def _study_of(spec: StudySpec, folder: StudyFolder, default: RunConfig, began: float) -> Study:
    return Study(
        folder=folder,
        name=spec.name,
        metric=default.objective.metric,
        direction=default.objective.direction,
        plugins=[plugin.name for plugin in loaded_plugins()],
        keep_checkpoints=spec.search.keep_checkpoints,
        retries=spec.search.retries,
        limits=trial_limits(spec),
        min_free_bytes=spec.search.min_free_gb * 1e9,
        constraints=spec.limits,
        began=began,
    )


def _supervisor_of(
    study: Study,
    spec: StudySpec,
    database: StudyStorage,
    workers: Workers,
    records: Sequence[TrialRecord],
    observers: Sequence[Observer],
) -> tuple[Supervisor, int | None]:
    """Return the supervisor of a study as its records and storage left it, and its total."""
    past = settle(database, study.folder, spec.space, records)
    window = workers.capacity if spec.search.reproducible else None
    proposals = Proposals(
        spec,
        direction=study.direction,
        past=past,
        most_validations=most_validations(spec),
        window=window,
    )
    limits, used = Limits.of(spec.budget, proposals.limit), time_used(study.folder)
    schedule = replace(scheduler_of(limits, records, past, workers.capacity), window=window)
    best = _best_writer(spec, study.folder, metric=study.metric, direction=study.direction)
    if records:
        write_leaderboard(study.folder, records, direction=study.direction, metric=study.metric)
        best.catch_up(records, time_s=used)
    supervisor = Supervisor(
        study,
        storage=database,
        proposals=proposals,
        scheduler=schedule,
        workers=workers,
        records=records,
        best=best,
        twins=Twins(records, window=window) if spec.search.duplicates == "reuse" else None,
        steering=Steering(
            spec,
            study.folder,
            scheduler=schedule,
            most_trials=proposals.limit,
            known=[trial.user_attrs[REQUEST] for trial in past if REQUEST in trial.user_attrs],
        ),
        observers=observers,
        time_s=used + time.monotonic() - study.began,
        attempts={trial.number: trial.user_attrs.get(ATTEMPTS, 1) for trial in past},
    )
    return supervisor, limits.trials


def _complain(finish: Finish, end: StudyEnd, folder: StudyFolder) -> None:
    if finish.why == "disk":
        what = "the disk is full, or nearly so (search.min_free_gb); nothing is lost"
        raise EnvironmentFault(folder.name, what, "free space, then run the same command again")
    if finish.why == "failing":
        first = end.records[0]
        what = f"the first {len(end.records)} trials all failed: {first.reason}: {first.what}"
        raise StudyError(folder.name, what, f"read {_telling(folder, first)}")
    if end.best is None and finish.why in ("budget", "exhausted"):
        states = ", ".join(f"{r.number} {r.state}" for r in end.records[:5]) or "none ended"
        what, hint = f"no trial is complete ({states})", "raise the budget"
        failed = [record for record in end.records if record.state == "failed"]
        if failed:
            what += f": {failed[0].reason}: {failed[0].what}"
            hint = f"read {_telling(folder, failed[0])}"
        raise StudyError(folder.name, what, hint)


def _telling(folder: StudyFolder, record: TrialRecord) -> Path:
    """Return the file that tells most of a failure; a trial that was killed left no traceback."""
    trial = folder.trial(record.number)
    name = "traceback.txt" if (trial / "traceback.txt").is_file() else "result.json"
    return (trial / name).relative_to(folder.path)
