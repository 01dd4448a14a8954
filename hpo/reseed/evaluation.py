"""`hpo evaluate STUDY --seeds N`: train with fresh seeds, choose, record, open the test split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.best import BestConfig
from hpo.budget import trial_limits
from hpo.child import prepared_data
from hpo.children import Children
from hpo.devices import gpus_for, refuse_processes
from hpo.errors import RefusedError, UsageError
from hpo.evaluate import evaluate_study
from hpo.files import make_folder
from hpo.layout import StudyFolder
from hpo.listing import no_best
from hpo.logs import log_to
from hpo.records import TrialRecord, hash_changes, now_utc, read_record, read_trials
from hpo.reseed.adopting import adopt
from hpo.reseed.judging import judge, with_tests
from hpo.reseed.opening import carried_over, disk_bytes, score_runs
from hpo.reseed.planning import Outcome, Plan, Run, is_final, outcome_of, plan_runs
from hpo.reseed.training import Terms, Training, Watcher
from hpo.seeds import SeedsRecord, read_seeds, write_seeds
from hpo.spec import StudySpec, load_study
from hpo.steering.requests import waiting_requests
from hpo.supervisor import TrialLimits
from hpo.tracking.tensorboard import write_seed_run
from hpo.workers import InProcess, Workers
from lightning_modules.build import open_data
from lightning_modules.plugins import loaded_plugins
from lightning_modules.result import Validation

MOST_SEEDS = 1000


@dataclass(frozen=True, kw_only=True)
class Reseeded:
    """What an evaluation came to."""

    folder: StudyFolder
    record: SeedsRecord | None
    """None if it was interrupted; then the same call goes on."""
    best_before: int
    """The trial of the best config before."""
    trained: int
    """Runs that ended in this call."""
    ended: int
    """Runs that have ended by now, those of earlier calls included."""
    total: int
    kept_bytes: int
    """What the weights and curves of all runs take on the disk."""
    opened: int | None = None
    """How often the test split has been opened by now; None if this call did not."""
    signal: int | None = None
    """The signal that interrupted it."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What to evaluate: how many of the best configs, with how many seeds, and from which on."""

    top: int = 1
    seeds: int = 5
    test: bool = False
    first: int = 0
    """Which of the seeds that all studies have in common is the first."""

    def refuse(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: if there is nothing to train, or more than anybody means.
        """
        if self.top < 1:
            raise UsageError("--top", f"{self.top} configs are none", "give 1 or more")
        if not 1 <= self.seeds <= MOST_SEEDS:
            hint = f"give 2 to {MOST_SEEDS}; 5 tell luck from merit"
            raise UsageError("--seeds", f"cannot be {self.seeds}", hint)


class Unwatched:
    """A watcher that looks away."""

    def planned(self, plan: Plan, waiting: Sequence[Run]) -> None:
        """Look away."""

    def run_started(self, run: Run) -> None:
        """Look away."""

    def validated(self, run: Run, validation: Validation) -> None:
        """Look away."""

    def run_ended(self, run: Run, outcome: Outcome) -> None:
        """Look away."""

    def tick(self) -> None:
        """Look away."""


def evaluate_seeds(
    folder: StudyFolder,
    ask: Ask,
    *,
    workers: int | Workers = 0,
    overrides: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> Reseeded:
    """Train the best configs and the default with fresh seeds, and let that decide.

    Leaves ``evaluation/seeds.json``, every run in ``evaluation/seeds/``, and the choice in
    ``best_config.json``. What earlier calls trained is not trained again.

    Args:
        folder: of the study.
        ask: how much.
        workers: how many runs are trained at once, each in a process of its own; 0 trains in this
            process.
        overrides: where the data are.
        watcher: told of everything.

    Raises:
        StudyError: if no trial of the study is complete.
        UsageError: if the numbers ask for nothing, there is no test split to open, an override
            changes what was trained, or a limit of a trial cannot be kept in this process.
        RefusedError: if data or split are not those that were recorded.
        EnvironmentFault: if the study runs, or the disk is full.
    """
    ask.refuse()
    if not folder.best_config.exists():
        raise no_best(folder)
    spec = load_study(folder.study_file)
    if workers == 0 and trial_limits(spec) != TrialLimits():
        what = "trial_timeout and trial_memory_gb need a process of the run's own"
        raise UsageError("search", what, "use workers")
    with folder.owned(), log_to(folder.log):
        return _evaluate(folder, spec, ask, workers, overrides, watcher or Unwatched())


def _evaluate(
    folder: StudyFolder,
    spec: StudySpec,
    ask: Ask,
    workers: int | Workers,
    overrides: Sequence[str],
    watcher: Watcher,
) -> Reseeded:
    best = read_record(folder.best_config, BestConfig)
    if ask.test and (best.data["n"] or {}).get("test") == 0:
        raise UsageError("--test", "the study has no test split", "data.test keeps rows for one")
    as_of, before = now_utc(), read_seeds(folder)
    plan = plan_runs(
        folder,
        read_trials(folder),
        direction=best.metric["direction"],
        asked=(ask.top, ask.seeds, ask.first),
        before=before,
        overrides=overrides,
    )
    _refuse_other_data(folder, plan, shared=workers != 0)
    waiting = [run for run in plan.runs if not is_final(outcome_of(run))]
    watcher.planned(plan, waiting)
    signal = _train(folder, spec, plan, waiting, workers, watcher)
    outcomes = {run.folder: found for run in plan.runs if (found := outcome_of(run))}
    done = Reseeded(
        folder=folder,
        record=None,
        best_before=best.study["trial"],
        trained=sum(run.folder in outcomes for run in waiting),
        ended=len(outcomes),
        total=len(plan.runs),
        kept_bytes=disk_bytes(folder),
        signal=signal,
    )
    if len(outcomes) < len(plan.runs):
        return done
    _tell_tensorboard(folder, plan, waiting, outcomes)
    record = judge(
        folder,
        plan,
        outcomes,
        metric=best.metric["name"],
        direction=best.metric["direction"],
        as_of_utc=as_of,
    )
    record = with_tests(record, carried_over(record, before))
    return _recorded(done, spec, plan, record, ask, overrides)


def _recorded(
    done: Reseeded,
    spec: StudySpec,
    plan: Plan,
    record: SeedsRecord,
    ask: Ask,
    overrides: Sequence[str],
) -> Reseeded:
    """Put the record down, the best config after it; open the test split if that is asked for."""
    folder = done.folder
    make_folder(folder.evaluation)
    write_seeds(folder, record)
    adopt(folder, spec, record)
    opened = None
    if ask.test:
        opened = evaluate_study(folder, test=True, overrides=tuple(overrides)).opened
        record = score_runs(folder, plan, record)
        write_seeds(folder, record)
    final = {"record": record.explained(), "opened": opened, "signal": None}
    return Reseeded(**{**vars(done), **final})


def _train(
    folder: StudyFolder,
    spec: StudySpec,
    plan: Plan,
    waiting: Sequence[Run],
    workers: int | Workers,
    watcher: Watcher,
) -> int | None:
    if not waiting:
        return None
    if isinstance(workers, int):
        trainers = [one.config.trainer for one in plan.candidates]
        gpus = gpus_for(trainers) if workers else []
        refuse_processes(trainers, gpus, workers=workers)
        workers = Children(workers, devices=gpus) if workers else InProcess()
    terms = Terms(
        place=folder.path,
        plugins=[plugin.name for plugin in loaded_plugins()],
        cache=folder.cache,
        log=folder.log,
        limits=trial_limits(spec),
        retries=spec.search.retries,
        min_free_bytes=spec.search.min_free_gb * 1e9,
        asked_to_stop=_stop_requests(folder),
    )
    return Training(terms, workers=workers, watcher=watcher).train(waiting)


def _tell_tensorboard(
    folder: StudyFolder, plan: Plan, runs: Sequence[Run], outcomes: Mapping[Path, Outcome]
) -> None:
    """Write new runs beside their trials: HParams shows the mean of all runs of a trial."""
    records = {one.number: one.record for one in plan.candidates}
    for run in runs:
        write_seed_run(
            folder,
            records[run.trial],
            metric=run.config.objective.metric,
            seed=run.seed,
            run=outcomes[run.folder].run,
        )


def _stop_requests(folder: StudyFolder) -> Callable[[], bool]:
    """Return a function that says whether `hpo stop` has asked this process to end."""
    owner = folder.owner()

    def asked() -> bool:
        return any(
            request.ask.kind == "stop" and owner is not None and request.to == owner.token
            for request in waiting_requests(folder).values()
        )

    return asked


def _refuse_other_data(folder: StudyFolder, plan: Plan, *, shared: bool) -> None:
    """Refuse data or splits that are not those of the trials.

    Args:
        folder: of the study.
        plan: the runs.
        shared: whether children will take the prepared data from the study's cache.
    """
    for one in plan.candidates:
        changed = _changes(
            one.record,
            open_data(one.config, cache=folder.cache).hashes
            if shared
            else prepared_data(one.config).hashes,
        )
        if changed:
            what = "these are not the data that the study was made on:\n  " + "\n  ".join(changed)
            raise RefusedError(folder.name, what, "restore them, or run a new study on these")


def _changes(record: TrialRecord, hashes: Mapping[str, str | None]) -> list[str]:
    if record.run is None:
        return []
    data = record.run.data
    stored = {"data_sha256": data.sha256, "split_sha256": data.split_sha256}
    return hash_changes(stored, hashes)
