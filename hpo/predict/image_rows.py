"""New images from files: those below a folder, or those that a table names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hpo.errors import UsageError
from hpo.predict.csv_rows import check_kept
from hpo.predict.pieces import Column, Piece
from lightning_modules.data.config import ImageConfig
from lightning_modules.data.csv_check import first_line
from lightning_modules.data.csv_form import recognise_form
from lightning_modules.data.image_input import decoded_pieces, image_files

FILE = "file"
"""The column of the files' names."""


def image_file_pieces(config: ImageConfig, source: Path, keep: Sequence[str]) -> Iterator[Piece]:
    """Yield the images, and the names of their files.

    Raises:
        DataError: as `image_files`, or if an image cannot be decoded.
        UsageError: if columns of a folder are to be copied through.
    """
    files = image_files(config, source)
    kept = _kept(source, keep)
    names = np.array([name for name, _ in files], dtype=object)
    for rows, images in decoded_pieces(config, [path for _, path in files]):
        columns: dict[str, Column] = {name: values.iloc[rows] for name, values in kept.items()}
        share = (int(rows[-1]) + 1) / len(files)
        yield Piece(raw=images, kept={FILE: names[rows], **columns}, share=share)


def _kept(source: Path, keep: Sequence[str]) -> "dict[str, pd.Series[str]]":
    """Return columns of a table, as text."""
    if not keep:
        return {}
    if source.is_dir():
        raise UsageError("--keep", "a folder of images has no columns", "remove this option")
    form, where = recognise_form(source, where=str(source)), str(source)
    header = first_line(source, where=where, form=form)
    check_kept(keep, header, where)
    texts = pd.read_csv(
        source,
        encoding=form.encoding,
        sep=form.delimiter,
        usecols=list(keep),
        dtype="object",
        na_filter=False,
    )
    return {name: texts[name] for name in keep}
