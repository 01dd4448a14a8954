"""Whatever new rows come from, piece by piece: files, folders, arrays, standard input."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpo.errors import UsageError
from hpo.predict.arrays import SUFFIXES, array_pieces
from hpo.predict.csv_rows import csv_file_pieces, csv_stream_pieces
from hpo.predict.image_rows import image_file_pieces
from hpo.predict.parquet_rows import parquet_pieces
from hpo.predict.pieces import Piece
from hpo.predict.predictor import Inputs
from lightning_modules.data.config import ImageConfig
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.image_input import files_wanted

STDIN = Path("-")
PARQUET = (".parquet", ".pq")


def pieces_of(inputs: Inputs, source: Path, *, keep: Sequence[str] = ()) -> Iterator[Piece]:
    """Yield the rows of an input in their order, with the types of training.

    Args:
        inputs: of the model.
        source: a CSV or Parquet file, ``-`` for CSV from standard input, ``.npy`` or ``.npz``; for
            a model of image files a folder of them, or a CSV file that names them.
        keep: columns to copy through.

    Raises:
        DataError: if the input does not fit the model.
        UsageError: if there are no columns to copy through.
    """
    if keep and isinstance(inputs.fitted.preparation, WindowPreparation):
        what = "the next steps of a series are no rows of the input"
        raise UsageError("--keep", what, "remove this option")
    suffix = source.suffix.lower()
    if suffix in PARQUET and not isinstance(inputs.data, ImageConfig):
        return parquet_pieces(inputs, source, keep)  # it may be a folder of them
    images = files_wanted(inputs.data, source)
    if images is not None:
        return image_file_pieces(images, source, keep)
    if suffix in SUFFIXES:
        if keep:
            raise UsageError("--keep", "an array has no named columns", "remove this option")
        return array_pieces(inputs, source)
    if source == STDIN:
        return _standard_input(inputs, keep)
    if source.is_fifo() or source.is_char_device():  # of which what was read is gone
        return _opened(inputs, source, keep)
    return csv_file_pieces(inputs, source, keep)


def _standard_input(inputs: Inputs, keep: Sequence[str]) -> Iterator[Piece]:
    """Yield rows by a reader of our own: Python cannot end while a thread waits in its own one."""
    if sys.stdin is None:
        raise UsageError("stdin", "is closed", "give a file, or pipe rows into this command")
    stream = sys.stdin.buffer
    if not isinstance(stream, io.BufferedReader):
        yield from csv_stream_pieces(inputs, stream, "stdin", keep)
        return
    with os.fdopen(os.dup(stream.fileno()), "rb") as own:
        yield from csv_stream_pieces(inputs, own, "stdin", keep)


def _opened(inputs: Inputs, source: Path, keep: Sequence[str]) -> Iterator[Piece]:
    with source.open("rb") as stream:
        yield from csv_stream_pieces(inputs, stream, str(source), keep)
