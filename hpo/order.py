"""Order among studies: their tags and notes, and which are put away; no torch, no Optuna."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hpo.errors import EnvironmentFault, UsageError
from hpo.files import write_json
from hpo.layout import StudyFolder, find_studies, locked_folder
from hpo.listing import StudyLine, study_line
from hpo.records import now_utc, read_record
from lightning_modules.registry import suggest

LONGEST_NOTE = 10_000
MOST_TAGS = 20
_TAG = re.compile(r"\w[\w.-]{0,39}")
_KEPT = "\n\t\u200c\u200d"
"""Line ends, and what joins letters and signs in some languages."""


class About(BaseModel):
    """``about.json``: what people say of a study. No part of what it computes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_name: Literal["hpo.about/1"] = Field("hpo.about/1", alias="schema")
    tags: list[str] = []
    note: str = ""
    archived_utc: str | None = None
    """When the study was put away; None if it is not."""

    @property
    def archived(self) -> bool:
        """Whether the study is left out where it is not asked for."""
        return self.archived_utc is not None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A study in `hpo list`, and what people say of it."""

    line: StudyLine
    about: About

    def plain(self) -> dict[str, Any]:
        """Return both as plain values, ready for JSON."""
        said = self.about.model_dump(include={"tags", "note", "archived_utc"})
        return {**vars(self.line), **said}


def read_about(folder: StudyFolder, damaged: list[str] | None = None) -> About:
    """Return the tags and the note of a study, and whether it is archived.

    Args:
        folder: of the study.
        damaged: is told of a file that cannot be read, which then says nothing.

    Raises:
        UsageError: if the file cannot be read, and nobody is told.
    """
    if not folder.about.is_file():
        return About.model_validate({})
    try:
        return read_record(folder.about, About)
    except UsageError as error:
        if damaged is None:
            hint = "mend it, or remove it: it holds tags and a note, nothing else"
            raise UsageError(error.where, error.what, hint) from None
        damaged.append(f"{error.where}: {error.what}")
        return About.model_validate({})


def change_tags(folder: StudyFolder, add: Sequence[str], remove: Sequence[str]) -> About:
    """Give a study tags and take others from it; return what it has then.

    Raises:
        UsageError: if a tag is no word, is not there to be removed, or there are too many.
        EnvironmentFault: if the folder cannot be written.
    """
    wrong = [tag for tag in add if not _TAG.fullmatch(tag)]
    if wrong:
        what = f"{wrong[0][:60]!r} is no tag"
        raise UsageError("TAG", what, "1 to 40 letters, digits, '.', '_' or '-', no blank")
    both = [tag for tag in add if tag in remove]
    if both:
        raise UsageError("--remove", f"{both[0]!r} is added too", "choose one")
    with _changing(folder) as about:
        gone = [tag for tag in remove if tag not in about.tags]
        if gone:
            hint = suggest(gone[0], about.tags) if about.tags else "it has no tags"
            raise UsageError(folder.name, f"has no tag {gone[0][:60]!r}", hint)
        tags = sorted({*about.tags, *add} - {*remove})
        if len(tags) > MOST_TAGS:
            raise UsageError(folder.name, f"{len(tags)} tags are too many", f"{MOST_TAGS} at most")
        return _write(folder, about, {"tags": tags})


def set_note(folder: StudyFolder, text: str) -> About:
    """Give a study another note, an empty one for none; return what was said of it before.

    Raises:
        UsageError: if the text is too long, or would move a terminal's cursor.
        EnvironmentFault: if the folder cannot be written.
    """
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_NOTE:
        what = f"a note of {len(text):,} characters is too long"
        raise UsageError(folder.name, what, f"{LONGEST_NOTE:,} at most")
    if any(not (c.isprintable() or c in _KEPT) for c in text):
        raise UsageError(folder.name, "the note has control characters", "give plain text")
    with _changing(folder) as about:
        _write(folder, about, {"note": text})
        return about


def archive(folder: StudyFolder) -> int:
    """Put a study away: lists leave it out, and its cache is deleted; return the bytes freed.

    Everything else stays, so that it can be looked at, gone on with and verified as before.

    Raises:
        UsageError: if the folder is of no study that was made.
        EnvironmentFault: if the study runs, or its folder cannot be written.
    """
    refuse_draft(folder)
    with folder.owned():
        with _changing(folder) as about:
            if not about.archived:
                _write(folder, about, {"archived_utc": now_utc()})
        return _drop_cache(folder)


def unarchive(folder: StudyFolder) -> None:
    """Take a study out of the archive.

    Raises:
        UsageError: if it is not there.
        EnvironmentFault: if the folder cannot be written.
    """
    with _changing(folder) as about:
        if not about.archived:
            raise UsageError(folder.name, "is not archived", "hpo list shows it")
        _write(folder, about, {"archived_utc": None})


def refuse_draft(folder: StudyFolder) -> None:
    """Refuse to delete anything in a folder that holds a study file, and was made by no study.

    Such is the folder in which somebody writes one.

    Raises:
        UsageError: if it is such a folder.
    """
    if not folder.fingerprint.is_file():
        what = f"is no study's folder: it has a study file, and no {folder.fingerprint.name}"
        raise UsageError(str(folder.path), what, "name one that hpo list shows with trials")


def list_with_about(
    results: Path, *, tags: Sequence[str] = (), archived: bool = False
) -> tuple[list[Listed], int]:
    """Return the studies that have all ``tags``, by name, and how many archived ones are left out.

    Args:
        results: the folder of all studies.
        tags: only studies with all of these.
        archived: whether archived studies are listed too.
    """
    listed, hidden = [], 0
    for folder in find_studies(results):
        damaged: list[str] = []
        about = read_about(folder, damaged)
        if not set(tags) <= set(about.tags):
            continue
        if about.archived and not archived:
            hidden += 1
            continue
        line = study_line(folder)
        line.damaged.extend(damaged)
        listed.append(Listed(line=line, about=about))
    return listed, hidden


def known_tags(results: Path) -> list[str]:
    """Return every tag that a study has."""
    return sorted({tag for folder in find_studies(results) for tag in read_about(folder, []).tags})


def size_of(path: Path) -> int:
    """Return the bytes of all files below a folder; what links lead to is not counted."""
    found = 0
    for place, _, names in os.walk(path):
        for name in names:
            with _may_be_gone():
                found += (Path(place) / name).lstat().st_size
    return found


@contextmanager
def _may_be_gone() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        pass


@contextmanager
def _changing(folder: StudyFolder) -> Iterator[About]:
    """Give what is said of a study, to one process at a time."""
    with locked_folder(folder.path):
        yield read_about(folder)


def _write(folder: StudyFolder, about: About, changed: Mapping[str, Any]) -> About:
    new = about.model_copy(update=dict(changed))
    if new != about:
        try:
            write_json(folder.about, new.model_dump(mode="json", by_alias=True))
        except OSError as error:
            hint = "ask as the user who made the study"
            raise EnvironmentFault(str(folder.about), str(error.strerror), hint) from None
    return new


def _drop_cache(folder: StudyFolder) -> int:
    """Delete the prepared data, which every call makes again; a link alone is removed."""
    cache = folder.cache
    if cache.is_symlink() or not cache.is_dir():
        return 0
    freed = size_of(cache)
    shutil.rmtree(cache)
    return freed
