"""Images that a CSV file names, with what is to be predicted of each."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lightning_modules.data.config import CsvConfig, ImageCsvConfig
from lightning_modules.data.decoding import decode_files
from lightning_modules.data.raw import RawData
from lightning_modules.data.tables import load_csv
from lightning_modules.errors import DataError


def load_image_csv(config: ImageCsvConfig) -> RawData:
    """Return the images ``(rows, channels, size, size)`` as uint8, and their targets.

    Raises:
        DataError: as `tables.load_csv`, `inside` and `decoding.decode`.
        TrialFailed: reason ``disk`` if there is no room for a large array of images.
    """
    raw = _table(config)
    x, kept = decode_files(_files(config, raw), config)
    y = raw.y.iloc[kept] if hasattr(raw.y, "iloc") else raw.y[kept]
    place = raw.place
    return replace(
        raw,
        x=x,
        y=y,
        groups=None if raw.groups is None else raw.groups[kept],
        place=lambda row: place(int(kept[row])),
    )


def files_of(config: ImageCsvConfig) -> list[Path]:
    """Return the files of the images, in the order of the rows.

    Raises:
        DataError: as `load_image_csv`, but that nothing is decoded.
    """
    return _files(config, _table(config))


def inside(
    names: Sequence[str | None], folder: Path, *, where: str, place: Callable[[int], str]
) -> list[Path]:
    """Return the files below ``folder`` that ``names`` are of.

    Args:
        names: paths below the folder, or absolute ones that lead there.
        folder: that no file may be outside of, links followed.
        where: the table in errors.
        place: names a row, counted from 0, in errors.

    Raises:
        DataError: if a name is missing, or of no file, or of one that is not in the folder.
    """
    root = folder.resolve()
    return [_inside(name, root, where, place, i) for i, name in enumerate(names)]


def _inside(
    name: str | None, root: Path, where: str, place: Callable[[int], str], row: int
) -> Path:
    if name is None:
        raise DataError(where, f"{place(row)} names no image", "complete it, or remove the row")
    try:
        path = (root / name).resolve()
        is_file = path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a NUL
        path, is_file = root, False
    if not path.is_relative_to(root):
        what = f"{place(row)}: {name!r} leads out of the folder of the table"
        raise DataError(where, what, "put the images below it, and name them from there")
    if not is_file:
        raise DataError(where, f"{place(row)}: there is no file {name!r}", f"looked in {root}")
    return path


def _table(config: ImageCsvConfig) -> RawData:
    """Return names and targets; the other columns are not looked at."""
    table = CsvConfig(
        path=config.path,
        target=config.target,
        text=config.image,
        split="grouped" if config.group is not None else None,
        group=config.group,
    )
    try:
        return load_csv(table)
    except DataError as error:
        what = error.what.replace("data.text:", "data.image:")
        raise DataError(error.where, what, error.hint) from None


def _files(config: ImageCsvConfig, raw: RawData) -> list[Path]:
    folder = Path(os.path.expanduser(config.path)).parent
    names = np.asarray(raw.x).tolist()
    return inside(names, folder, where=config.path, place=raw.place)
