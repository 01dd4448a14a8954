"""What a trial logs, also for CSV, MLflow or Weights & Biases: by name, on this machine alone."""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import UsageError
from hpo.extras import require
from hpo.files import make_folder
from lightning_modules.registry import suggest

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from lightning_modules.config import RunConfig
    from lightning_modules.result import RunResult

PACKAGES: Mapping[str, str | None] = {"csv": None, "mlflow": "mlflow", "wandb": "wandb"}
"""The package that each logger needs, which is the extra's name too; Lightning brings ``csv``."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "WANDB_MODE": "offline",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
}
"""What keeps them from speaking to anybody; set before they are imported."""
MLFLOW_FILE = "mlflow.db"
_log = logging.getLogger(__name__)


def refuse_loggers(names: Sequence[str]) -> None:
    """Check that there are loggers of these names.

    Raises:
        UsageError: if there is none of a name.
        EnvironmentFault: if the package of one is not installed.
    """
    for name in names:
        if name not in PACKAGES:
            raise UsageError("--logger", f"there is no logger {name!r}", suggest(name, PACKAGES))
        package = PACKAGES[name]
        if package is not None:
            require(f"--logger {name}", [package], extra=package)


def run_name(number: int, config: Mapping[str, Any]) -> str:
    """Return the name of a trial among runs: it sorts, and says family and optimizer.

    >>> run_name(7, {"model": {"family": "mlp"}, "optimizer": {"name": "adamw"}})
    't0007-mlp-adamw'
    >>> run_name(7, {"model": {"family": "../a b"}})
    't0007-.._a_b'
    """
    parts = [f"t{number:04d}", _part(str(config["model"]["family"]))]
    if config.get("optimizer"):
        parts.append(_part(str(config["optimizer"].get("name", ""))))
    return "-".join(parts)


def _part(name: str) -> str:
    """Return a registered name, which may be any text, as part of a folder's name."""
    return re.sub(r"[^\w.-]+", "_", name)[:40]


class TrialLoggers:
    """The loggers of one trial: opened for each of its runs, and closed with it.

    Args:
        names: of `PACKAGES`.
        study: its name, under which MLflow and Weights & Biases file the trial.
        number: the trial's.
        folder: the trial's; MLflow's file is that of the study, two above it.
        config: what is trained.
    """

    def __init__(
        self, names: Sequence[str], *, study: str, number: int, folder: Path, config: "RunConfig"
    ) -> None:
        self._names = names
        self._study = study
        self._folder = folder
        self._config = config
        self._name = run_name(number, config.plain())
        self._opened: list[Logger] = []

    def __call__(self, folder: Path) -> list["Logger"]:
        """Open the loggers of a run in ``folder``, which is the trial's, or that of one fold."""
        if any(PACKAGES[name] for name in self._names):
            os.environ.update(QUIET)
        fold = f"-{folder.name}" if folder != self._folder else ""
        open_one = {"csv": _csv, "mlflow": self._mlflow, "wandb": self._wandb}
        opened = [forgiving(open_one[name](folder, self._name + fold)) for name in self._names]
        for logger in opened:
            logger.log_hyperparams(self._config.portable())
        self._opened += opened
        return opened

    def ended(self, result: "RunResult") -> None:
        """Log what the trial came to."""
        final = {
            f"objective/{self._config.objective.metric}": result.value,
            "objective/n_parameters": result.n_parameters,
            "objective/flops": result.flops,
            "objective/latency_ms": result.latency_ms,
        }
        for logger in self._opened[:1] if result.folds else self._opened:
            known = {name: float(value) for name, value in final.items() if value is not None}
            logger.log_metrics(known, step=result.steps - 1)  # counted from 0, as Lightning does

    def close(self) -> None:
        """Write what waits, and end the runs."""
        for logger in self._opened:
            logger.save()
            if "wandb" in type(logger).__module__:
                _forgiven(logger.experiment.finish)()  # type: ignore[attr-defined]
        self._opened = []

    def _mlflow(self, folder: Path, name: str) -> "Logger":
        """Return an MLflow logger into one SQLite file of the study; trials make it in turn."""
        import mlflow  # noqa: F401  (it sets levels of its own when it is imported)
        from pytorch_lightning.loggers import MLFlowLogger

        for library in ("mlflow", "alembic", "pytorch_lightning.loggers.mlflow"):
            logging.getLogger(library).setLevel(logging.WARNING)
        study = self._folder.parent.parent.absolute()
        with _alone(study / f"{MLFLOW_FILE}.lock"):
            logger = MLFlowLogger(
                experiment_name=self._study,
                run_name=name,
                tracking_uri=f"sqlite:///{study / MLFLOW_FILE}",
                artifact_location=f"{study / 'mlflow'}",
                tags={"mlflow.user": "hpo", "mlflow.source.name": "hpo run"},
            )
            _ = logger.run_id  # makes the file, the experiment and the run
        return logger

    def _wandb(self, folder: Path, name: str) -> "Logger":
        """Return a logger of Weights & Biases that writes into ``wandb/`` of the run's folder."""
        import wandb
        from pytorch_lightning.loggers import WandbLogger

        settings = wandb.Settings(
            mode="offline",
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_meta=True,  # host, user, command line
            x_disable_stats=True,
            x_save_requirements=False,
            host="",
            email="",
            username="hpo",
            program="hpo run",
        )
        return WandbLogger(
            name=name, save_dir=folder, project=self._study, offline=True, settings=settings
        )


def forgiving(logger: "Logger") -> "Logger":
    """Let a logger that fails, as with a file that others lock, cost lines and not the trial."""
    for name in ("log_metrics", "log_hyperparams", "save", "finalize"):
        setattr(logger, name, _forgiven(getattr(logger, name)))
    return logger


def _forgiven(do: Callable[..., None]) -> Callable[..., None]:
    def attempt(*args: Any, **kwargs: Any) -> None:
        try:
            do(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (whatever libraries raise; the trial goes on)
            what = str(error).splitlines()[0] if str(error) else "no message"
            _log.warning("a logger wrote less: %s: %s", type(error).__name__, what)

    return attempt


def _csv(folder: Path, name: str) -> "Logger":
    """Return a logger into ``logs/metrics.csv``, or ``logs-2`` where an attempt left the first."""
    from pytorch_lightning.loggers import CSVLogger

    taken = sum(path.is_dir() for path in folder.glob("logs*"))
    version = "logs" if not taken else f"logs-{taken + 1}"
    return CSVLogger(folder, name="", version=version, flush_logs_every_n_steps=1)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time go on here."""
    make_folder(path.parent)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
