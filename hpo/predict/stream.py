"""Predictions of a trained model for new rows, read and written in pieces: flat memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import TextIO

import numpy as np
import pandas as pd

from hpo.errors import DataError, UsageError
from hpo.predict.ahead import Ahead
from hpo.predict.opening import open_predictor
from hpo.predict.pieces import Piece
from hpo.predict.predictor import Predictor, Raw
from hpo.predict.reading import pieces_of
from hpo.predict.table import Columns, column_names, columns_of, steps_of, texts_in
from hpo.predict.writing import write_csv, write_jsonl, write_parquet
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.durable import renamed
from lightning_modules.task import NUMBERS

_JSONL, _PARQUET = (".jsonl", ".ndjson"), (".parquet", ".pq")
SUFFIXES = ("", ".csv", ".txt", *_JSONL, *_PARQUET)
"""Of the files that predictions are written to; the first ones are CSV."""
TABLE_ROWS, OTHER_ROWS = 16_384, 256
"""Rows that a network sees at a time: what is between its layers is in memory."""
Told = Callable[[int, float | None], None]
"""Called with 0 rows once the model is open, then after each piece with its rows; the second number
is the share of the input that is read, None if its size is unknown."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is wanted beside the predictions."""

    probabilities: bool = False
    """A column ``p_<class>`` for each class or label."""
    keep: Sequence[str] = ()
    """Columns of the input to copy through."""
    told: Told = lambda n_rows, share: None


def predict_rows(
    model: Path, source: Path, *, probabilities: bool = False, keep: Sequence[str] = ()
) -> Iterator[list[str]]:
    """Yield the cells of the names of the columns, then those of each row, in its order.

    One prediction is the column ``prediction``; several targets or labels (0 or 1) are
    ``prediction_<name>`` each. Of a series there is no row for each row of the input, but one for
    each of the steps that follow it: its number in the column ``step``, and its prediction.

    Model, names, shape and the first rows of the input are checked before anything is yielded.

    Args:
        model: as for `open_predictor`.
        source: a CSV or ``.parquet`` file with the columns of training, ``-`` for a CSV file from
            stdin; or ``.npy``, ``.npz`` (its first array) of shape ``(rows, *input_shape)``. Images
            may be laid flat: one column per value, in the CSV file too. Sequences are ``.npz`` with
            arrays x and lengths, or ``.npy``; texts one column, or an array. For a model of image
            files, a folder, or a CSV file that names them as that of training did; the column
            ``file`` comes first then.
        probabilities: add a column ``p_<class>`` for each class or label.
        keep: columns of the input to copy through, in front of the predictions.

    Raises:
        UsageError: if the model cannot be opened, or probabilities are asked of a regression.
        DataError: if the input does not fit the model: the file, the row and the column.
    """
    tables = predicted(model, source, Wanted(probabilities=probabilities, keep=keep))
    first = next(tables)
    return chain([list(first)], _rows(chain([first], tables)))


def predicted(model: Path, source: Path, wanted: Wanted) -> Iterator[Columns]:
    """Yield the predictions of a piece of the input after the other, a table each.

    Raises:
        UsageError: as `predict_rows`.
    """
    opened = open_predictor(model)
    answers = opened.answers
    if wanted.probabilities and answers.kind in NUMBERS:
        what = "predicts numbers: there are no probabilities"
        raise UsageError(str(model), what, "leave probabilities out")
    for name in column_names(answers, probabilities=wanted.probabilities):
        if name in wanted.keep:
            what = f"a column {name!r} is made, and cannot be copied through too"
            raise UsageError("--keep", what, "rename it in the input")
    wanted.told(0, None)
    reading = Ahead(pieces_of(opened.inputs, source, keep=wanted.keep))
    with closing(reading):
        for piece in _read(reading, source):
            table = _table(opened, piece, wanted)
            yield table
            wanted.told(len(next(iter(table.values()))), piece.share)


def write_predictions(
    model: Path, source: Path, to: Path | TextIO, wanted: Wanted | None = None
) -> int:
    """Write predictions, a file by rename; return the number of rows.

    Args:
        model: as for `open_predictor`.
        source: as for `predict_rows`.
        to: a stream, or a file that ends in ``.csv``, ``.jsonl`` or ``.parquet``.
        wanted: what else.

    Raises:
        UsageError: as `predict_rows`, or if ``to`` is the input, cannot be written, or is of
            another kind.
        EnvironmentFault: if a package is missing.
    """
    n_rows = [0]
    tables = _counted(predicted(model, source, wanted or Wanted()), n_rows)
    if not isinstance(to, Path):
        write_csv(chain([next(tables)], tables), to)
        return n_rows[0]
    _check_place(to, source)
    tables = chain([next(tables)], tables)
    try:
        with renamed(to, sync=False) if _is_replaced(to) else nullcontext(to) as path:
            _write(tables, path, str(to))
    except OSError as error:
        raise UsageError(str(to), f"cannot be written: {error.strerror or error}") from None
    return n_rows[0]


def _check_place(to: Path, source: Path) -> None:
    """Refuse a file that cannot be written, before anything is computed."""
    suffix = to.suffix.lower()
    if suffix not in SUFFIXES:
        hint = f"such as predictions.csv; known: {', '.join(filter(None, SUFFIXES))}"
        raise UsageError(str(to), f"predictions are not written as {suffix}", hint)
    if to.exists() and source.exists() and to.samefile(source):
        raise UsageError(str(to), "is the input", "name another file for the predictions")
    if to.is_dir():
        raise UsageError(str(to), "is a folder", "name a file in it")
    if not to.parent.is_dir():
        raise UsageError(str(to), "its folder does not exist", f"mkdir -p {quote(str(to.parent))}")


def _write(tables: Iterator[Columns], path: Path, where: str) -> None:
    suffix = Path(where).suffix.lower()
    if suffix in _PARQUET:
        write_parquet(tables, path, where)
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        (write_jsonl if suffix in _JSONL else write_csv)(tables, stream)


def _is_replaced(to: Path) -> bool:
    """Say whether a file gets its name when it is whole; a pipe or a device is written to."""
    return to.is_file() or not to.exists()


def _read(reading: Iterable[Piece], source: Path) -> Iterator[Piece]:
    try:
        yield from reading
    except OSError as error:
        raise DataError(str(source), f"cannot be read: {error.strerror}") from None


def _table(opened: Predictor, piece: Piece, wanted: Wanted) -> Columns:
    preparation = opened.inputs.fitted.preparation
    if isinstance(preparation, WindowPreparation):
        return steps_of(opened.outputs(piece.raw))
    step = TABLE_ROWS if isinstance(preparation, TablePreparation) else OTHER_ROWS
    outputs = np.concatenate([opened.outputs(rows) for rows in _cut(piece.raw, step)])
    made = columns_of(outputs, opened.answers, probabilities=wanted.probabilities)
    return {**piece.kept, **made}


def _cut(raw: Raw, step: int) -> Iterator[Raw]:
    for start in range(0, len(raw), step):
        part = slice(start, start + step)
        yield raw.iloc[part] if isinstance(raw, pd.DataFrame) else raw[part]


def _rows(tables: Iterator[Columns]) -> Iterator[list[str]]:
    for table in tables:
        columns = [texts_in(column) for column in table.values()]
        yield from map(list, zip(*columns, strict=True))


def _counted(tables: Iterator[Columns], n_rows: list[int]) -> Iterator[Columns]:
    for table in tables:
        n_rows[0] += len(next(iter(table.values())))
        yield table
