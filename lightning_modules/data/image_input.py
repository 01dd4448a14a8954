"""New image files for a trained model: those of a folder, or those that a table names."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_modules.data.config import HuggingFaceConfig, ImageConfig, ImageCsvConfig
from lightning_modules.data.csv_check import checked_header, line_of_row
from lightning_modules.data.csv_form import recognise_form
from lightning_modules.data.decoding import SUFFIXES, decode_files
from lightning_modules.data.frames import Array, texts_of
from lightning_modules.data.image_csv import inside
from lightning_modules.errors import DataError
from lightning_modules.registry import suggest
from lightning_modules.settings import Settings

_BYTES = 2**24
"""Of decoded images that are in memory at a time."""


def files_wanted(config: Settings, source: Path) -> ImageConfig | None:
    """Return how image files are read, if ``source`` is of those; None if it is of rows.

    Args:
        config: the data of training.
        source: of the new rows.

    Raises:
        DataError: if it is a folder, and the model was not trained on image files.
    """
    if not source.is_dir():
        is_table = source.suffix.lower() not in (".npy", ".npz") and source != Path("-")
        return config if isinstance(config, ImageCsvConfig) and is_table else None
    if isinstance(config, HuggingFaceConfig) and config.image is not None:
        return config.images
    if isinstance(config, ImageConfig):
        return config
    what = "is a folder, but the model was not trained on image files"
    raise DataError(str(source), what, "give rows as a CSV, NPY or NPZ file")


def image_files(config: ImageConfig, source: Path) -> list[tuple[str, Path]]:
    """Return name and file of every image below a folder, sorted, or in the rows of a CSV file.

    Raises:
        DataError: if there is none; a link leads out of the folder; or the table has no column
            ``config.image``, or names files that are not below its folder.
    """
    if source.is_dir():
        return _below(source)
    if not isinstance(config, ImageCsvConfig):
        raise TypeError("a table names the images of a model that was trained on one")
    form, where = recognise_form(source, where=str(source)), str(source)
    header = checked_header(source, where=where, form=form)
    if config.image not in header:
        hint = suggest(config.image, header)
        raise DataError(where, f"has no column {config.image!r} of image files", hint)
    column = pd.read_csv(
        source,
        encoding=form.encoding,
        sep=form.delimiter,
        header=0,
        names=header,
        usecols=[config.image],
        dtype=str,
    )[config.image]
    names: list[str | None] = texts_of(column).tolist()
    files = inside(
        names,
        source.parent,
        where=where,
        place=lambda row: f"line {line_of_row(source, row, form)}",
    )
    return [(str(name), file) for name, file in zip(names, files, strict=True)]


def decoded_pieces(
    config: ImageConfig, files: Sequence[Path]
) -> Iterator[tuple[npt.NDArray[np.int64], Array]]:
    """Yield numbers of files, and their images, as many at a time as fit in little memory.

    Raises:
        DataError: if an image cannot be decoded, and ``config`` does not skip those.
    """
    n_channels = 3 if config.channels == "rgb" else 1
    step = max(1, _BYTES // (n_channels * config.size**2))
    for start in range(0, len(files), step):
        images, kept = decode_files(files[start : start + step], config)
        yield start + kept, images


def _below(folder: Path) -> list[tuple[str, Path]]:
    found, root = [], folder.resolve()
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(parent) / name
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if not path.resolve().is_relative_to(root):
                hint = "put the image itself there"
                raise DataError(str(path), "is a link that leaves the folder", hint)
            found.append((path.relative_to(folder).as_posix(), path))
    if not found:
        raise DataError(str(folder), "has no images", f"expected {', '.join(SUFFIXES)}")
    return sorted(found)
