"""Open and write the Optuna storage of a study; only its supervisor does."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from hpo.errors import EnvironmentFault, StudyError
from lightning_modules.task import Direction

BUSY_TIMEOUT_S = 60
ATTEMPTS = "attempts"
STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def sqlite_url(path: Path, *, read_only: bool = False) -> str:
    """Return the URL of a SQLite file, by its absolute path, in which ``?`` and ``%`` may be."""
    place, query = str(path.resolve()), {}
    if read_only:
        place, query = f"file:{quote(place)}", {"mode": "ro", "uri": "true"}
    return sqlalchemy.URL.create("sqlite", database=place, query=query).render_as_string()


class StudyStorage:
    """One study in an Optuna storage.

    Args:
        url: any URL that Optuna takes.
        study: the study's name; it is made on first use.
        direction: ``maximize`` or ``minimize``.
        metric: the objective's name, shown by the dashboard.

    Raises:
        EnvironmentFault: if the storage cannot be opened.
        StudyError: if it holds a study of that name with another direction.
    """

    def __init__(self, url: str, *, study: str, direction: Direction, metric: str) -> None:
        self._url = url
        wanted = StudyDirection.MAXIMIZE if direction == "maximize" else StudyDirection.MINIMIZE
        try:
            self._storage = _open(url)
            handle = optuna.create_study(
                storage=self._storage, study_name=study, direction=direction, load_if_exists=True
            )
        except (
            SQLAlchemyError,
            OptunaError,
            ImportError,
            ValueError,
            RuntimeError,
            OSError,
        ) as error:
            cause = error.__cause__ if isinstance(error, StorageInternalError) else None
            first = (str(cause or error).splitlines() or [type(error).__name__])[0]
            hint = "check --storage, or the rights of the folder"
            raise EnvironmentFault(redacted(url), first, hint) from None
        if handle.direction != wanted:
            what = f"holds a study {study!r} that is to {handle.direction.name.lower()}"
            raise StudyError(redacted(url), what, "give this study another name")
        with warnings.catch_warnings():
            # The dashboard shows them; they are marked experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            handle.set_metric_names([metric])
        self._study_id = handle._study_id
        self._ids = {trial.number: trial._trial_id for trial in self.trials()}

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, by number."""
        return self._storage.get_all_trials(self._study_id, deepcopy=True)

    def begin(self, trial: FrozenTrial) -> None:
        """Add a running trial, in one transaction.

        Raises:
            StudyError: if the storage gives it another number: somebody else writes the study.
        """
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
        number = self._storage.get_trial_number_from_id(trial_id)
        if number != trial.number:
            what = f"gave trial {trial.number} the number {number}: another program writes it"
            raise StudyError(redacted(self._url), what, "end the other program, run again")
        self._ids[number] = trial_id

    def resume(self, number: int) -> None:
        """Set a waiting trial to running."""
        self._storage.set_trial_state_values(self._ids[number], TrialState.RUNNING)

    def report(self, number: int, *, validation: int, value: float) -> None:
        """Add the objective of a validation."""
        self._storage.set_trial_intermediate_value(self._ids[number], validation, value)

    def finish(
        self, number: int, state: str, value: float | None, attributes: Mapping[str, Any]
    ) -> None:
        """Write attributes, then state and value: a finished trial takes nothing more."""
        trial_id = self._ids[number]
        for name, content in attributes.items():
            if content is not None:
                self._storage.set_trial_user_attr(trial_id, name, content)
        values = None if value is None else [value]
        self._storage.set_trial_state_values(trial_id, STATES[state], values)

    def note_attempts(self, number: int, attempts: int) -> None:
        """Remember how often a trial was started."""
        self._storage.set_trial_user_attr(self._ids[number], ATTEMPTS, attempts)

    def give_back(self, number: int) -> None:
        """Set a running trial back to waiting: same number, same parameters."""
        self._storage.set_trial_state_values(self._ids[number], TrialState.WAITING)

    def close(self) -> None:
        """Let go of every connection."""
        self._storage.remove_session()
        self._storage.engine.dispose()


def _open(url: str) -> RDBStorage:
    # RDBStorage formats its URL: braces in a password must be doubled.
    doubled = url.replace("{", "{{").replace("}", "}}")
    if not url.startswith("sqlite"):
        return RDBStorage(doubled, engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(doubled, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}})

    def durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    sqlalchemy.event.listen(storage.engine, "connect", durable)
    storage.engine.dispose()
    return storage


def redacted(url: str) -> str:
    """Return a storage URL without user, password and query.

    >>> redacted("postgresql+psycopg://me:secret@db.example/hpo?sslpassword=x")
    'postgresql+psycopg://db.example/hpo'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return scheme
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}://{place}"
