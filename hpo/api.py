"""Study: the same from Python, in a script or a notebook."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from hpo.best import BestConfig
from hpo.errors import StudyError, UsageError
from hpo.evaluations import Evaluation
from hpo.layout import DEFAULT_RESULTS, StudyFolder
from hpo.seeds import SeedsRecord
from hpo.spec import StudySpec, load_study
from hpo.tracking.observers import Observer

if TYPE_CHECKING:
    import pandas as pd

    from hpo.ship.combined import EnsembleRecord, Method
    from hpo.verify.checks import Verification


class Study:
    """A study over a space that is given as a mapping, a file, or the name of a shipped file.

    ``module`` is a LightningModule class, whose ``__init__`` arguments are searched under
    ``space["model"]``; ``data`` is a LightningDataModule class (its arguments under
    ``space["data"]``), or a pair of arrays, tensors or frames ``(x, y)``.

    >>> study = Study("demo", space={
    ...     "task": {"kind": "multiclass"}, "data": {"source": "iris"},
    ...     "model": {"family": "mlp", "width": {"low": 8, "high": 64, "log": True}},
    ...     "budget": {"trials": 3}})
    >>> [parameter.name for parameter in study.spec.space.parameters()]
    ['model.width']

    Args:
        name: the study's name, and its folder's.
        space: sections of a study file.
        module: searched instead of a family of ours.
        data: used instead of a data source of ours.
        results: the folder of all studies.
        storage: an Optuna storage URL; one SQLite file under ``results`` by default.

    Raises:
        SpecError: if anything in the space is wrong; it names every mistake.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        space: Mapping[str, Any] | str | Path,
        module: type | None = None,
        data: Any = None,
        results: str | Path = DEFAULT_RESULTS,
        storage: str | None = None,
    ) -> None:
        self._results = Path(results)
        self._storage = storage
        self._module, self._given = module, data
        if isinstance(space, Mapping):
            space = _with_module(_with_data(space, data, name), module)
        elif module is not None or data is not None:
            raise UsageError("space", "is a file", "give a mapping beside module or data")
        self.spec: StudySpec = load_study(space, name=name)

    @property
    def folder(self) -> StudyFolder:
        """Where the records are."""
        return StudyFolder(self._results / self.spec.name)

    def run(
        self, *, workers: int = 0, observers: tuple[Observer, ...] = (), loggers: Sequence[str] = ()
    ) -> BestConfig:
        """Run to the end of the total budget; again means resume.

        Args:
            workers: how many trials are trained at once, each in a process of its own; 0 trains in
                this process, where a debugger sees it.
            observers: told of everything that happens.
            loggers: where trials log to as well: ``csv``, ``mlflow``, ``wandb``; each on this
                machine alone.

        Raises:
            StudyError: if no trial is complete, interrupted studies included.
            UsageError: if workers are asked for and module or data exist in this process alone, or
                there is no logger of a name.
            EnvironmentFault: if a logger's package is not installed.
        """
        from hpo.study import run_study

        if workers:
            self._reach_children()
        outcome = run_study(
            self.spec,
            self._results,
            storage=self._storage,
            workers=workers,
            observers=observers,
            loggers=loggers,
        )
        if outcome.best is None:
            raise StudyError(self.spec.name, "no trial is complete", "run it again")
        return outcome.best

    @overload
    def evaluate(self, *, test: bool = False) -> Evaluation: ...

    @overload
    def evaluate(
        self,
        *,
        seeds: int,
        top: int = 1,
        first_seed: int = 0,
        test: bool = False,
        workers: int = 0,
    ) -> SeedsRecord: ...

    def evaluate(
        self,
        *,
        seeds: int | None = None,
        top: int = 1,
        first_seed: int = 0,
        test: bool = False,
        workers: int = 0,
    ) -> Evaluation | SeedsRecord:
        """Measure the best trial's weights, with every metric, as ``hpo evaluate`` does.

        Args:
            seeds: train the best configs and the default with so many fresh seeds instead, which
                may choose another best config; what earlier calls trained is kept.
            top: how many of the best configs.
            first_seed: which of the seeds that all studies have in common is the first.
            test: on the test split, which nothing else touches; each such call is counted.
            workers: how many runs are trained at once, as in `run`.

        Raises:
            StudyError: if no trial is complete; with seeds, if it was interrupted.
            UsageError: if the checkpoint is not the one that was recorded, or a module of the
                user's own logs no objective on that split; ``top``, ``first_seed`` or ``workers``
                without seeds.
            RefusedError: if data or split are not those that were recorded.
            EnvironmentFault: with seeds, if the study runs, or the disk is full.
        """
        if seeds is None:
            from hpo.evaluate import evaluate_study

            if (top, first_seed, workers) != (1, 0, 0):
                raise UsageError("top", "goes with fresh seeds", "give seeds=5 too")
            return evaluate_study(self.folder, test=test)
        from hpo.reseed.evaluation import Ask, evaluate_seeds

        if workers:
            self._reach_children()
        ask = Ask(top=top, seeds=seeds, test=test, first=first_seed)
        done = evaluate_seeds(self.folder, ask, workers=workers)
        if done.record is None:
            what = f"interrupted: {done.ended} of {done.total} runs are kept"
            raise StudyError(self.spec.name, what, "the same call goes on")
        return done.record

    def ensemble(
        self, *, method: "Method" = "greedy", top: int = 10, keep: bool = False
    ) -> "EnsembleRecord":
        """Combine the best trials, as ``hpo ensemble`` does, and say whether that is better.

        Args:
            method: ``greedy``, ``mean``, ``weighted``, ``vote`` or ``stack``.
            top: of how many of the best trials.
            keep: let it predict even if it is not better than the single best.

        Raises:
            StudyError: if fewer than two complete trials have their weights.
            UsageError: if what is asked for is wrong, the module or the data module is the user's
                own, or a checkpoint is not the one that was recorded.
            RefusedError: if data or split are not those that were recorded.
        """
        from hpo.ensemble.asking import Ask
        from hpo.ensemble.making import make_ensemble

        return make_ensemble(self.folder, Ask(method=method, top=top, keep=keep))

    def trials(self) -> "pd.DataFrame":
        """Return every trial that ended as a row of a pandas frame; columns as `hpo trials` has.

        Raises:
            UsageError: if the study has not begun, or a record cannot be read.
        """
        from hpo.trials import trials_frame

        return trials_frame(self.folder)

    def verify(self, *, level: int = 1, seeds: int | None = None) -> "Verification":
        """Verify the best config, as ``hpo verify`` does, and stamp its file with the outcome.

        Args:
            level: 0 the hashes; 1 the score of the checkpoint too; 2 another training too; 3 fresh
                seeds too.
            seeds: how many fresh seeds; by default as many as are recorded, and five at least.

        Raises:
            UsageError: if there is no such level.
            StudyError: if no trial is complete.
        """
        from hpo.verify.verify import Wanted, file_of, verify_file

        try:
            self._reach_children()
            fresh = True
        except UsageError:  # they are in this process alone, and so is the training
            fresh = False
        file = file_of(str(self.folder.path), self._results)
        return verify_file(file, Wanted(level=level, n_seeds=seeds, fresh=fresh))

    def _reach_children(self) -> None:
        """Name the files that a child imports to find the user's classes."""
        from lightning_modules.plugins import load_plugin

        if self._given is not None and not isinstance(self._given, type):
            raise UsageError("data", "arrays are in this process alone", "use workers=0")
        for own in (self._module, self._given):
            if own is None:
                continue
            if own.__module__ == "__main__" or "<locals>" in own.__qualname__:
                what = f"{own.__name__} is defined in the program itself, which no child imports"
                raise UsageError("workers", what, "move it to a file of its own, or use workers=0")
            load_plugin(own.__module__)


def _with_module(space: Mapping[str, Any], module: type | None) -> Mapping[str, Any]:
    if module is None:
        return space
    from lightning_modules.plugins import lightning_module

    lightning_module(module.__name__)(module)
    return {**space, "model": {"family": module.__name__, **space.get("model", {})}}


def _with_data(space: Mapping[str, Any], data: Any, name: str | None) -> Mapping[str, Any]:
    if data is None:
        return space
    settings = space.get("data", {})
    if isinstance(data, type):
        from lightning_modules.plugins import data_module

        data_module(data.__name__)(data)
        return {**space, "data": {"source": data.__name__, **settings}}
    from lightning_modules.data.arrays import give_arrays

    if not isinstance(data, tuple) or len(data) != 2:
        raise UsageError("data", "is no pair", "give a LightningDataModule class, or (x, y)")
    give_arrays(name or "data", *data)
    return {**space, "data": {"source": "arrays", "name": name or "data", **settings}}
