"""Recognise what is in an archive of NumPy arrays, and describe it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from hpo.draft.columns import many
from lightning_modules.data.config import NpzConfig
from lightning_modules.data.frames import Array
from lightning_modules.data.kinds import RawKind, raw_kind
from lightning_modules.data.npz import load_npz, read_npz
from lightning_modules.data.raw import RawData

ArchiveKind: TypeAlias = RawKind | Literal["series"]


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The arrays in a file by name, and what they are together.

    ``about`` says what ``x`` is, in words.
    """

    arrays: dict[str, Array]
    raw: RawData
    kind: ArchiveKind
    about: str


def look_at_archive(path: Path) -> Archive:
    """Return what is in a ``.npz`` file with the arrays x, y, and perhaps lengths, x_test, y_test.

    Raises:
        DataError: if it cannot be the data of a study.
    """
    where = str(path)
    arrays = read_npz(path.expanduser(), where)
    official = "x_test" in arrays or "y_test" in arrays
    raw = load_npz(NpzConfig(path=where, test=None if official else 0.2))
    kind: ArchiveKind = raw_kind(raw.x, where)
    if isinstance(raw.x, pd.DataFrame):
        return Archive(arrays=arrays, raw=raw, kind="series", about="its own past")
    return Archive(arrays=arrays, raw=raw, kind=kind, about=_words_of(raw.x, kind))


def _words_of(x: Array, kind: ArchiveKind) -> str:
    if kind == "table":
        return many(x.shape[1], "number")
    if kind == "image":
        channels, height, width = x.shape[1:]
        return f"images of {height} by {width} pixels, {many(channels, 'channel')}"
    if kind == "text":
        longest = max(len(str(text).split()) for text in x)
        return f"texts of up to {many(longest, 'word')}"
    lengths = [len(row) for row in x]
    shortest = "" if min(lengths) == max(lengths) else f"{min(lengths)} to "
    return f"sequences of {shortest}{max(lengths)} steps, {many(np.shape(x[0])[1], 'channel')}"
