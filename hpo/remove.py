"""Delete a study: its trials in the storage, then its folder, so that a kill costs nothing twice.

First the rows go, in one transaction: a study without them is whole, for they are made again from
the records. Then the folder gets another name in one step, and is no study any more; then its files
go. Whatever is interrupted, the same command again ends it.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hpo.errors import EnvironmentFault, HpoError, UsageError
from hpo.files import read_document
from hpo.layout import StudyFolder, find_study
from hpo.order import refuse_draft, size_of
from hpo.storage.removal import remove_study, stored_trials
from hpo.storage.writer import sqlite_url

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """What would be deleted."""

    name: str
    folder: StudyFolder | None
    """None if it is gone already: an earlier call was interrupted, or somebody removed it."""
    rest: Path
    """Where the folder goes before its files go; there, if an earlier call was interrupted."""
    stored_as: tuple[str, ...]
    """The study's names in the storage."""
    url: str
    trials: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """What was deleted."""

    name: str
    trials: int
    size_bytes: int
    stored_trials: int | None
    """Trials of the study in the storage; None if it had no such study."""


def find_doomed(name: str, results: Path, storage: str | None = None) -> Doomed:
    """Return what the deletion of a study would take, and take nothing.

    Args:
        name: of the study, or a path to its folder; also of one that is half deleted.
        results: the folder of all studies.
        storage: the URL of its storage; the SQLite file beside it by default.

    Raises:
        UsageError: if there is no such study, its folder is a link, or was made by no study.
    """
    try:
        folder: StudyFolder | None = find_study(name, results)
    except UsageError:
        if not _NAME.fullmatch(name):
            raise
        folder = None
    place = Path(os.path.abspath(results / name if folder is None else folder.path))
    if folder is not None:
        refuse_draft(folder)
    url = storage or sqlite_url(place.parent / "storage.sqlite")
    if place.is_symlink():
        hint = f"hpo delete {place.resolve()}, then remove the link"
        raise UsageError(str(place), "is a link to a folder elsewhere", hint)
    rest = place.with_name(f".{place.name}.deleted")
    trials = len(folder.trial_folders()) if folder else 0
    if folder is None and not rest.is_dir():
        stored = None if place.exists() else stored_trials(url, name)
        if stored is None:
            find_study(name, results)  # says which names there are
        trials = stored or 0
    there = [path for path in (place, rest) if path.is_dir() and not path.is_symlink()]
    return Doomed(
        name=place.name,
        folder=None if folder is None else StudyFolder(place),
        rest=rest,
        stored_as=_stored_as(folder) if folder else (place.name,),
        url=url,
        trials=trials,
        size_bytes=sum(map(size_of, there)),
    )


def delete_study(doomed: Doomed) -> Deleted:
    """Delete a study; see the module for the order.

    Raises:
        EnvironmentFault: if it runs, or storage or folder cannot be written.
    """
    rest = doomed.rest
    if doomed.folder is None:
        stored = _remove_rows(doomed)
    else:
        with doomed.folder.owned():
            stored = _remove_rows(doomed)
            _remove_rest(rest)  # of an earlier study of that name
            doomed.folder.path.rename(rest)
    _remove_rest(rest)
    return Deleted(
        name=doomed.name,
        trials=doomed.trials,
        size_bytes=doomed.size_bytes,
        stored_trials=stored,
    )


def _stored_as(folder: StudyFolder) -> tuple[str, ...]:
    """Return a study's names in the storage: one whose folder was renamed has trials under both.

    Those of a copy beside the folder that it was copied from are not its own.
    """
    try:
        name = str(read_document(folder.study_file).values.get("name", folder.name))
    except HpoError:  # damaged: it is deleted all the same
        name = folder.name
    original = folder.path.absolute().parent / name
    if name == folder.name or (original / "study.yaml").is_file():
        return (folder.name,)
    return (folder.name, name)


def _remove_rows(doomed: Doomed) -> int | None:
    found = [remove_study(doomed.url, name) for name in doomed.stored_as]
    known = [trials for trials in found if trials is not None]
    return max(known, default=None)


def _remove_rest(rest: Path) -> None:
    """Delete a folder that is no study any more; where links lead is not touched.

    Raises:
        EnvironmentFault: if a file cannot be deleted.
    """
    if rest.is_symlink():
        rest.unlink()
    elif rest.is_dir():
        try:
            shutil.rmtree(rest)
        except OSError as error:
            hint = "mend that, then hpo delete again"
            raise EnvironmentFault(str(error.filename), str(error.strerror), hint) from None
