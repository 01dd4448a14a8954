"""Files that a reader, or a crash, sees old or new and never half; a full disk has its name."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_modules.errors import TrialFailed

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says when there is no room, on the disk or for this user."""
_TEMPORARY = ".tmp"


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a temporary file's path to write to; what was written then becomes ``path`` by rename.

    Whatever goes wrong, ``path`` stays as it was and the temporary file is deleted; only a process
    that is killed leaves one.

    Args:
        path: what is replaced.
        sync: whether its content is on the disk before it gets its name.

    Raises:
        TrialFailed: reason ``disk`` if there is no room.
    """
    with full_disk(path.name), renamed(path, sync=sync) as temporary:
        yield temporary


@contextmanager
def renamed(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Do what `replacing` does; a full disk is the OSError that it is.

    Args:
        path: what is replaced.
        sync: whether its content is on the disk before it gets its name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        yield temporary
        if sync:
            sync_path(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(path: str | Path) -> bool:
    """Return whether a path is one that `replacing` gives."""
    name = Path(path).name
    return name.startswith(".") and name.endswith(_TEMPORARY)


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write a text file by rename; see `replacing`.

    Raises:
        TrialFailed: reason ``disk`` if there is no room.
    """
    with replacing(path, sync=sync) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def full_disk(name: str) -> Iterator[None]:
    """Turn a lack of room while ``name`` is written into a failed trial.

    Raises:
        TrialFailed: reason ``disk`` if the disk, or what the user may have of it, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        what = f"{name} could not be written ({error.strerror})"
        hint = "free space, then run the same command again"
        raise TrialFailed("disk", what, hint) from error


def sync_folder(folder: Path) -> None:
    """Put the names in ``folder`` on the disk.

    Raises:
        TrialFailed: reason ``disk`` if there is no room.
    """
    with full_disk(folder.name):
        sync_path(folder)


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_path(path: Path) -> None:
    """Put a file's content, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
