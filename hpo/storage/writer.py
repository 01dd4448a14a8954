"""The Optuna storage of a study: opened and written by its supervisor alone, through outages."""

import fcntl
import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import psutil
import sqlalchemy
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from hpo.errors import EnvironmentFault, StudyError
from hpo.storage.rows import (
    SCHEMA,
    Add,
    Attribute,
    Change,
    NumberTaken,
    Report,
    Turn,
    still_to_do,
    write_publicly,
    write_rows,
)
from hpo.storage.urls import readable, redacted
from lightning_modules.phases import timed
from lightning_modules.task import Direction

REPAIR = "hpo doctor --repair rebuilds it from the records"
BUSY_TIMEOUT_S = 60
EVERY_S = 1.0
"""How long what a trial reports may wait to be written."""
GIVE_UP_S = 300.0
"""How long a storage may be out of reach before the study stops."""
LONGEST_PAUSE_S = 10.0
ATTEMPTS = "attempts"
STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
PASSING = ("locked", "busy", "full", "disk i/o", "unable to open")
"""What SQLite says of troubles that pass."""
SHARED = ("nfs", "cifs", "smb", "9p", "sshfs", "lustre", "beegfs", "gpfs", "ceph", "gluster")
"""File systems of networks: a write-ahead log needs memory that all its readers share."""
FAILURES = (SQLAlchemyError, OptunaError, ImportError, ValueError, RuntimeError, OSError)
_log = logging.getLogger(__name__)


def sqlite_url(path: Path, *, read_only: bool = False) -> str:
    """Return the URL of a SQLite file, by its absolute path, in which ``?`` and ``%`` may be."""
    place, query = str(path.resolve()), {}
    if read_only:
        place, query = f"file:{quote(place)}", {"mode": "ro", "uri": "true"}
    return sqlalchemy.URL.create("sqlite", database=place, query=query).render_as_string()


class StudyStorage:
    """One study in an Optuna storage.

    What changes is written in one transaction a second, or when a trial begins. While the database
    is locked, lost or full, changes wait in memory and are tried again, up to five minutes: the
    records of the trials are on disk before, and bring the storage in line at the next start.

    Args:
        url: any URL that Optuna takes.
        study: the study's name; it is made on first use.
        direction: ``maximize`` or ``minimize``.
        metric: the objective's name, shown by the dashboard.
        warn: told once of every outage.

    Raises:
        EnvironmentFault: if the storage cannot be opened, or is damaged.
        StudyError: if it holds a study of that name with another direction.
    """

    def __init__(
        self,
        url: str,
        *,
        study: str,
        direction: Direction,
        metric: str,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._url = url
        self.warn = warn or _log.warning
        wanted = StudyDirection.MAXIMIZE if direction == "maximize" else StudyDirection.MINIMIZE
        self._file = sqlite_file(url)
        try:
            with _alone(self._file):
                self._storage = open_storage(url)
                handle = optuna.create_study(
                    storage=self._storage,
                    study_name=study,
                    direction=direction,
                    load_if_exists=True,
                )
        except FAILURES as error:
            hint = mend_of(url, "check --storage, or the rights of the folder")
            raise EnvironmentFault(redacted(url), cause_of(error), hint) from None
        if handle.direction != wanted:
            what = f"holds a study {study!r} that is to {handle.direction.name.lower()}"
            raise StudyError(redacted(url), what, "give this study another name")
        with warnings.catch_warnings():
            # The dashboard shows them; they are marked experimental.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            handle.set_metric_names([metric])
        self._study_id = handle._study_id
        self._inode = self._file.stat().st_ino if self._file else None
        known = self._storage.get_current_version() == SCHEMA
        self._write = write_rows if known else write_publicly
        self._ids = {trial.number: trial._trial_id for trial in self._stored()}
        self._waiting: list[Change] = []
        self._written = self._try_at = time.monotonic()
        self._lost_at: float | None = None
        self._pause_s = 0.0

    @timed("storage")
    def trials(self) -> list[FrozenTrial]:
        """Write what waits, and return all trials, by number."""
        self.flush()
        return self._stored()

    def _stored(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=True)

    def add(self, trial: FrozenTrial) -> None:
        """Add a trial in the state that it has, with all that it holds."""
        self._waiting.append(Add(trial))

    def begin(self, trial: FrozenTrial) -> None:
        """Add a running trial, and write all that waits.

        Raises:
            StudyError: if the storage gives it another number: somebody else writes the study.
            EnvironmentFault: as `flush`.
        """
        self.add(trial)
        self.flush()

    def resume(self, number: int) -> None:
        """Set a waiting trial to running."""
        self._waiting.append(Turn(number, TrialState.RUNNING))
        self.flush()

    def report(self, number: int, *, validation: int, value: float) -> None:
        """Add the objective of a validation."""
        self._waiting.append(Report(number, validation, value))

    def finish(
        self, number: int, state: str, value: float | None, attributes: Mapping[str, Any]
    ) -> None:
        """Add attributes, then state and value: a finished trial takes nothing more."""
        self._waiting += [
            Attribute(number, name, content)
            for name, content in attributes.items()
            if content is not None
        ]
        self._waiting.append(Turn(number, STATES[state], value))

    def note_attempts(self, number: int, attempts: int) -> None:
        """Remember how often a trial was started."""
        self._waiting.append(Attribute(number, ATTEMPTS, attempts))

    def give_back(self, number: int) -> None:
        """Set a running trial back to waiting: same number, same parameters."""
        self._waiting.append(Turn(number, TrialState.WAITING))

    @property
    def waits(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._waiting)

    def tick(self) -> None:
        """Write what waits if it has waited long enough; see `flush`."""
        if time.monotonic() - self._written >= EVERY_S:
            self.flush()

    @timed("storage")
    def flush(self) -> None:
        """Write what waits in one transaction; keep it if the database is out of reach.

        Raises:
            StudyError: if another program writes the study too.
            EnvironmentFault: if the database was out of reach for five minutes, was deleted or
                replaced, or does not take the changes for a reason that does not pass.
        """
        self._written = time.monotonic()
        if not self._waiting or time.monotonic() < self._try_at:
            return
        self._refuse_another_file()
        try:
            changes = self._waiting
            if self._lost_at is not None:  # a commit may have held and its answer been lost
                found = {trial.number: trial for trial in self._stored()}
                self._ids.update({trial.number: trial._trial_id for trial in found.values()})
                changes = still_to_do(changes, found)
            self._ids.update(self._write(self._storage, self._study_id, self._ids, changes))
        except NumberTaken as error:
            hint = "end the other program, run again"
            what = f"{error}: another program writes it"
            raise StudyError(redacted(self._url), what, hint) from None
        except (SQLAlchemyError, StorageInternalError) as error:
            self._put_off(error)
        else:
            self._waiting, self._lost_at, self._pause_s = [], None, 0.0

    def finish_writing(self) -> None:
        """Write what waits, however long that takes, up to giving up; see `flush`."""
        self.flush()
        while self._waiting:
            time.sleep(max(self._try_at - time.monotonic(), 0.0))
            self.flush()

    def close(self) -> None:
        """Let go of every connection."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _put_off(self, error: Exception) -> None:
        """Keep what waits for later, after ever longer pauses; say so once.

        Raises:
            EnvironmentFault: if waiting does not help, or was long enough.
        """
        what = cause_of(error)
        if not passes(error):
            hint = f"see what happened to it; {REPAIR}"
            raise EnvironmentFault(redacted(self._url), what, hint) from error
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            self.warn(f"{redacted(self._url)}: {what}; the study goes on, its results are on disk")
        if now - self._lost_at > GIVE_UP_S:
            hint = "run the same command when it is back; nothing is lost"
            what = f"out of reach for {GIVE_UP_S / 60:g} minutes: {what}"
            raise EnvironmentFault(redacted(self._url), what, hint) from error
        self._pause_s = min(max(2 * self._pause_s, 0.25), LONGEST_PAUSE_S)
        self._try_at = now + self._pause_s
        # A connection that was lost must not be handed out again.
        self._storage.engine.dispose()

    def _refuse_another_file(self) -> None:
        """Refuse to write where nobody would read: a file that was deleted takes all the same."""
        if self._file is None:
            return
        inode = self._file.stat().st_ino if self._file.is_file() else None
        if inode != self._inode:
            what = "was deleted" if inode is None else "was replaced by another file"
            hint = "run the same command again: it is rebuilt from the records"
            raise EnvironmentFault(str(self._file), f"{what} while the study ran", hint)


def open_storage(url: str) -> RDBStorage:
    """Open a storage so that a commit outlives a loss of power.

    Raises:
        SQLAlchemyError, OptunaError, OSError, ValueError, RuntimeError, ImportError: as Optuna; an
            OSError also for a SQLite file that is damaged.
    """
    # RDBStorage formats its URL: braces in a password must be doubled.
    doubled = readable(url).replace("{", "{{").replace("}", "}}")
    file = sqlite_file(url)
    if file is None:
        engine: dict[str, Any] = {"pool_pre_ping": True}
        if url.startswith("postgresql"):
            engine |= {"connect_args": {"connect_timeout": 5}}
        return RDBStorage(doubled, engine_kwargs=engine)
    damage = damage_of(file)
    if damage:
        raise OSError(f"is damaged ({damage})")
    storage = RDBStorage(doubled, engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}})
    journal = "DELETE" if _is_shared(file) else "WAL"

    def durable(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=FULL")

    sqlalchemy.event.listen(storage.engine, "connect", durable)
    storage.engine.dispose()
    return storage


def damage_of(file: Path, *, still: bool = False) -> str | None:
    """Return what is wrong with the bytes of a SQLite file; None if nothing is.

    Args:
        file: which may be there or not.
        still: nobody writes it; then nothing is laid beside it either.
    """
    mode = "mode=ro&immutable=1" if still else "mode=ro"
    if not file.is_file() or not file.stat().st_size:
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?{mode}", uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return None if any(word in str(error) for word in PASSING) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == ("ok",) else str(found[0]).splitlines()[0]


def mend_of(url: str, otherwise: str) -> str:
    """Return what mends a storage that cannot be opened: other words where it is not damaged."""
    file = sqlite_file(url)
    return REPAIR if file is not None and damage_of(file) is not None else otherwise


def passes(error: Exception) -> bool:
    """Return whether an error of a database may be gone at the next try."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.Error):
        return any(word in str(cause.orig).lower() for word in PASSING)
    lost = isinstance(cause, DBAPIError) and cause.connection_invalidated
    return lost or isinstance(cause, OperationalError | InterfaceError)


def cause_of(error: Exception) -> str:
    """Return the first line of what really went wrong."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else None
    if isinstance(cause, DBAPIError) and cause.orig is not None:
        cause = cause.orig
    elif isinstance(error, DBAPIError) and error.orig is not None:
        cause = error.orig
    return (str(cause or error).strip().splitlines() or [type(error).__name__])[0]


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for other databases and for one in memory."""
    if not url.startswith("sqlite"):
        return None
    try:
        place = sqlalchemy.make_url(url)
    except SQLAlchemyError:
        return None
    if place.database in (None, "", ":memory:") or "mode" in place.query:
        return None
    return Path(str(place.database)).resolve()


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """Make a SQLite file alone: of two programs that make it at once, one would fail."""
    if file is None or not file.parent.is_dir():
        yield
        return
    with file.with_name(f"{file.name}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _is_shared(file: Path) -> bool:
    """Return whether a file lies on a file system that several machines may share."""
    mounts: Sequence[Any] = psutil.disk_partitions(all=True)
    above = [mount for mount in mounts if file.is_relative_to(mount.mountpoint)]
    kinds = [mount.fstype for mount in sorted(above, key=lambda mount: len(mount.mountpoint))]
    return bool(kinds) and any(name in kinds[-1].lower() for name in SHARED)
