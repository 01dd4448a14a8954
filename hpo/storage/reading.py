"""Read a study of somebody else's Optuna storage; nothing is written there."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from hpo.errors import EnvironmentFault, UsageError
from hpo.storage.urls import readable, redacted
from hpo.storage.writer import cause_of, damage_of, sqlite_file, sqlite_url
from lightning_modules.registry import suggest

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SQLITE = b"SQLite format 3\0"
_FAILURES = (SQLAlchemyError, OptunaError, ImportError, ValueError, RuntimeError, OSError)
MOST_NAMES = 20


@dataclass(frozen=True, kw_only=True)
class OldStudy:
    """An Optuna study, read."""

    source: str
    """Where it was: the last name of a file, or a URL without user and password."""
    name: str
    metrics: Sequence[str]
    """The name of every objective."""
    directions: Sequence[Literal["maximize", "minimize"]]
    trials: Sequence[FrozenTrial]
    """All of them, by number."""
    attributes: dict[str, Any]


def read_study(place: str, name: str | None) -> OldStudy:
    """Read a study from a storage's URL, or from the file of one (SQLite, or Optuna's journal).

    Args:
        place: the URL or the file.
        name: of the study; where there is one study alone it need not be named.

    Raises:
        UsageError: if there is no such file, storage or study; those that there are, are named.
        EnvironmentFault: if the storage is damaged, locked, out of reach, or of another version
            of Optuna's schema.
    """
    with _opened(place) as (storage, source), _told(source):
        known = optuna.get_all_study_names(storage)
        if name is None and len(known) == 1:
            name = known[0]
        if name not in known:
            raise _no_study(source, name, known)
        study_id = storage.get_study_id_from_name(name)
        directions = storage.get_study_directions(study_id)
        system = storage.get_study_system_attrs(study_id)
        metrics = system.get("study:metric_names") or _unnamed(len(directions))
        maximize = StudyDirection.MAXIMIZE
        return OldStudy(
            source=source,
            name=name,
            metrics=[str(metric) for metric in metrics],
            directions=["maximize" if one == maximize else "minimize" for one in directions],
            trials=sorted(storage.get_all_trials(study_id, deepcopy=False), key=lambda t: t.number),
            attributes=storage.get_study_user_attrs(study_id),
        )


def _unnamed(n: int) -> list[str]:
    return ["value"] if n == 1 else [f"value_{index}" for index in range(n)]


def _no_study(source: str, name: str | None, known: Sequence[str]) -> UsageError:
    if not known:
        return UsageError(source, "holds no study", "name another storage")
    shown = ", ".join(known[:MOST_NAMES]) + (" and more" if len(known) > MOST_NAMES else "")
    if name is None:
        return UsageError(source, f"holds {len(known)} studies: {shown}", "name one of them")
    hint = suggest(name, list(known)) if len(known) <= MOST_NAMES else f"known: {shown}"
    return UsageError(source, f"no study {name[:80]!r}", hint)


@contextlib.contextmanager
def _opened(place: str) -> Iterator[tuple[BaseStorage, str]]:
    """Open a storage for reading alone; give it, and what may be said of where it is."""
    file = _file(place)
    source = redacted(place) if file is None else file.name
    with _told(source):
        if file is None:
            storage: BaseStorage = _database(place)
        elif file.read_bytes()[: len(_SQLITE)] == _SQLITE:
            storage = _sqlite(file)
        else:
            storage = JournalStorage(JournalFileBackend(str(file)))
    try:
        yield storage, source
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def _file(place: str) -> Path | None:
    """Return the file of a storage, None if it is a server's.

    Raises:
        UsageError: if there is no such file, or it is no storage.
    """
    if _URL.match(place) and not place.startswith("sqlite"):
        return None
    file = sqlite_file(place) if _URL.match(place) else Path(place)
    if file is None or not file.is_file():
        raise UsageError(place, "no such file", "sqlite:///OLD.db, or the path of a storage's file")
    with file.open("rb") as stream:
        first = stream.read(len(_SQLITE))
    if first != _SQLITE and not first.startswith(b"{"):
        raise UsageError(place, "is no storage of Optuna", "SQLite, or the file of its journal")
    return file


def _sqlite(file: Path) -> RDBStorage:
    """Open a SQLite file so that it, and the folder that it is in, stay as they are."""
    beside = [file.with_name(file.name + part) for part in ("-wal", "-journal")]
    still = not any(path.exists() for path in beside)  # else somebody writes it
    damage = damage_of(file, still=still)
    if damage is not None:
        raise OSError(f"is damaged: {damage}")
    url = sqlite_url(file, read_only=True) + ("&immutable=1" if still else "")
    return RDBStorage(url.replace("{", "{{").replace("}", "}}"), skip_table_creation=True)


def _database(url: str) -> RDBStorage:
    options: dict[str, Any] = {}
    if url.startswith("postgresql"):
        options = {"options": "-c default_transaction_read_only=on", "connect_timeout": 10}
    doubled = readable(url).replace("{", "{{").replace("}", "}}")
    return RDBStorage(doubled, engine_kwargs={"connect_args": options}, skip_table_creation=True)


@contextlib.contextmanager
def _told(source: str) -> Iterator[None]:
    """Say what went wrong with a storage, and what to do about it."""
    try:
        yield
    except _FAILURES as error:
        what, hint = cause_of(error), "see that it can be read, then try again"
        if "no such table" in what or "does not exist" in what or "readonly" in what:
            raise UsageError(source, f"is no storage of Optuna ({what})", "name another") from None
        if "compatible with the table schema" in what:
            what = "was written by another version of Optuna"
            hint = "copy it, then: optuna storage upgrade --storage sqlite:///COPY"
        raise EnvironmentFault(source, what, hint) from None
