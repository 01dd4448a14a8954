"""The checkpoints of a run that can go on later: the last two, listed with their hashes."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from lightning_modules.durable import file_sha256, is_temporary, replacing, sync_folder, write_text
from lightning_modules.settings import Settings

BEST_CHECKPOINT = "best.ckpt"
"""The weights of the best validation, which stay when the run has ended."""
MANIFEST = "last.json"
KEPT = 2
_CHECKPOINT = re.compile(r"last-\d+\.ckpt")
_log = logging.getLogger(__name__)


class Saved(Settings):
    """A checkpoint as it was when it was written."""

    file: str = Field(pattern=r"^last-[0-9]{6,}\.ckpt$")
    """Numbered in the order in which they were taken."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    step: int

    @property
    def number(self) -> int:
        """The number in the file's name."""
        return int(self.file.removeprefix("last-").removesuffix(".ckpt"))


class Manifest(Settings):
    """The checkpoints that a run can go on from, newest first; no other file is one."""

    checkpoints: list[Saved]


def can_go_on(folder: Path) -> bool:
    """Return whether a run left a checkpoint in ``folder``, or the result of a fold.

    `newest_sound` looks into a checkpoint.
    """
    for place in fold_folders(folder):
        if (place / "result.json").is_file() or can_go_on(place):
            return True
    return any((folder / saved.file).is_file() for saved in _listed(folder))


def fold_folders(folder: Path) -> list[Path]:
    """Return the folders of the folds that a run has begun."""
    return sorted(path for path in folder.glob("fold-*") if path.is_dir())


def keep_running(folder: Path, write: Callable[[Path], None], *, step: int) -> None:
    """Take a checkpoint, and keep it and the one before.

    The checkpoint lies under its own name, whole and on the disk, before the manifest names it;
    the manifest is replaced by rename; only then go the checkpoints that it does not name. So a
    process that is killed anywhere in between leaves the old manifest or the new one, and every
    file that it names.

    Args:
        folder: of the run.
        write: writes the checkpoint to the path that it is given.
        step: of the run, for the reader of the manifest.

    Raises:
        TrialFailed: reason ``disk`` if there is no room; what was kept before is still kept.
    """
    before = _listed(folder)
    path = folder / f"last-{1 + max((saved.number for saved in before), default=0):06d}.ckpt"
    try:
        with replacing(path) as temporary:
            write(temporary)
            sha256 = file_sha256(temporary)
        sync_folder(folder)
        _list(folder, [Saved(file=path.name, sha256=sha256, step=step), *before][:KEPT])
    finally:
        _sweep(folder, _listed(folder))


def newest_sound(folder: Path) -> Path | None:
    """Return the newest checkpoint whose bytes are those that were written; None if none is.

    A newer one that is damaged is warned about and deleted, and so is what a killed process left
    half done.

    Raises:
        TrialFailed: reason ``disk`` if there is no room for the manifest without it.
    """
    listed = _listed(folder)
    sound = listed
    while sound and not _sound(folder / sound[0].file, sound[0].sha256):
        sound = sound[1:]
    if sound != listed:
        _list(folder, sound)
    _sweep(folder, sound)
    return folder / sound[0].file if sound else None


def forget_running(folder: Path) -> None:
    """Delete what a run could go on from, and what a killed process left half done.

    Of folds that did not end the weights go too: they are no outcome of the run.
    """
    for place in fold_folders(folder):
        forget_running(place)
        if not (place / "result.json").is_file():
            (place / BEST_CHECKPOINT).unlink(missing_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    if folder.is_dir():
        _sweep(folder, [])


def _listed(folder: Path) -> list[Saved]:
    """Return what the manifest names; nothing if there is none, or it is damaged."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes()).checkpoints
    except FileNotFoundError:
        return []
    except ValidationError:
        _log.warning("%s: is damaged; the run starts again from its beginning", path)
        return []


def _list(folder: Path, checkpoints: list[Saved]) -> None:
    manifest = Manifest(checkpoints=checkpoints)
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    sync_folder(folder)


def _sound(path: Path, recorded: str) -> bool:
    try:
        found = file_sha256(path)
    except OSError as error:
        found = str(error.strerror)
    if found == recorded:
        return True
    text = "%s: recorded sha256 %s, found %s; the run goes on from the checkpoint before, if any"
    _log.warning(text, path, recorded, found)
    return False


def _sweep(folder: Path, listed: list[Saved]) -> None:
    """Delete checkpoints of running that are not listed, and temporary files."""
    files = {saved.file for saved in listed}
    for path in list(folder.iterdir()):
        if is_temporary(path) or (_CHECKPOINT.fullmatch(path.name) and path.name not in files):
            path.unlink(missing_ok=True)
