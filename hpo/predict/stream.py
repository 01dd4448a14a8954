"""Predictions of a trained model for new rows, read and written in pieces: flat memory."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

import pandas as pd
import torch

from hpo.best import BestConfig
from hpo.draft.columns import check_first_line
from hpo.errors import UsageError
from hpo.predict.arrays import array_pieces, series_frame
from hpo.predict.rows import check_columns, prepared_rows
from hpo.predict.steps import last_window
from hpo.predict.table import cells_of, column_names
from hpo.records import read_record
from lightning_modules.cells import CsvWriter, safe_cell
from lightning_modules.config import RunConfig
from lightning_modules.data.config import CsvConfig
from lightning_modules.data.csv_check import checked_header
from lightning_modules.data.csv_form import CsvForm, recognise_form
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array
from lightning_modules.data.image_input import files_wanted, image_files, image_pieces
from lightning_modules.data.parquet import read_parquet
from lightning_modules.durable import file_sha256
from lightning_modules.module import SupervisedModule
from lightning_modules.restore import outputs_of, restore_folder
from lightning_modules.task import NUMBERS
from lightning_modules.train import steady_threads

STDIN = Path("-")
CHECKPOINT = "best.ckpt"
_VALUES = 1_000_000
"""Values that are in memory at a time, in rows of the input."""
_ARRAYS = (".npy", ".npz")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"^(\s*[+-]?\d*),(\d+([eE][+-]?\d+)?\s*)$")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained model: its config, what was fitted with it, and its network."""

    config: RunConfig
    fitted: Fitted
    module: SupervisedModule

    @property
    def classes(self) -> list[str] | None:
        """The class labels in the order of the probabilities; None where there are none."""
        return self.module.facts.classes


def open_model(path: Path) -> Model:
    """Return the model of a run's folder, a study's folder, or a ``best_config.json``.

    Raises:
        UsageError: if there is none, a file of it is damaged, or the checkpoint is another one
            than ``best_config.json`` records.
    """
    if path.is_dir() and not (path / "config.json").exists():
        record = path / "best_config.json"
        folder = _folder_of(record) if record.is_file() else path
    else:
        folder = path if path.is_dir() else _folder_of(path)
    config, fitted, module = restore_folder(folder)
    return Model(config=config, fitted=fitted, module=module)


def predict_rows(model: Path, source: Path, *, probabilities: bool = False) -> Iterator[list[str]]:
    """Yield the cells of the names of the columns, then those of each row, in its order.

    One prediction is the column ``prediction``; several targets or labels (0 or 1) are
    ``prediction_<name>`` each. Of a series there is no row for each row of the input, but one for
    each of the steps that follow it: its number in the column ``step``, and its prediction.

    Model, names and shape of the input are checked before anything is yielded, and so are the
    fields of each row.

    Args:
        model: as for `open_model`.
        source: a CSV or ``.parquet`` file with the columns of training, ``-`` for a CSV file from
            stdin; or ``.npy``, ``.npz`` (its first array) of shape ``(rows, *input_shape)``. Images
            may be laid flat: one column per value, in the CSV file too. Sequences are ``.npz`` with
            arrays x and lengths, or ``.npy``; texts one column, or an array. For a model of image
            files, a folder, or a CSV file that names them as that of training did; the column
            ``file`` comes first then.
        probabilities: add a column ``p_<class>`` for each class or label.

    Raises:
        UsageError: if the model cannot be opened, or probabilities are asked of a regression.
        DataError: if the input does not fit the model: the file, the row and the column.
    """
    opened = open_model(model)
    if probabilities and opened.config.kind in NUMBERS:
        what = "predicts numbers: there are no probabilities"
        raise UsageError(str(model), what, "leave probabilities out")
    rows = _rows(opened, source, probabilities)
    return chain([next(rows)], rows)


def write_predictions(
    model: Path, source: Path, to: Path | TextIO, *, probabilities: bool = False
) -> int:
    """Write predictions as CSV, a file by rename; return the number of rows.

    Raises:
        UsageError: as `predict_rows`, or if ``to`` is the input or cannot be written.
    """
    if not isinstance(to, Path):
        return _write(predict_rows(model, source, probabilities=probabilities), to)
    if to.exists() and source.exists() and to.samefile(source):
        raise UsageError(str(to), "is the input", "name another file for the predictions")
    temporary = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            n_rows = _write(predict_rows(model, source, probabilities=probabilities), stream)
        temporary.replace(to)
    except OSError as error:
        raise UsageError(str(to), f"cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return n_rows


def _write(rows: Iterator[list[str]], stream: TextIO) -> int:
    writer = CsvWriter(stream)
    n_rows = -1  # the names
    for cells in rows:
        writer.row([_safe(cell) for cell in cells])
        n_rows += 1
    return n_rows


def _safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers.

    >>> _safe("=1+1"), _safe("-1.5"), _safe("a")
    ("'=1+1", '-1.5', 'a')
    """
    return cell if _NUMBER.fullmatch(cell) else safe_cell(cell)


def _folder_of(file: Path) -> Path:
    """Return the run's folder that a ``best_config.json`` names, its checkpoint compared."""
    best = read_record(file, BestConfig)
    folder = (file.parent / best.checkpoint["path"]).parent
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise UsageError(str(checkpoint), "no such checkpoint", "train it with hpo train")
    if file_sha256(checkpoint) != best.checkpoint["sha256"]:
        what = f"is not the checkpoint that {file.name} records (another sha256)"
        raise UsageError(str(checkpoint), what, "train it again with hpo train")
    return folder


def _rows(model: Model, source: Path, probabilities: bool) -> Iterator[list[str]]:
    names = column_names(model.module.facts, probabilities=probabilities)
    images = files_wanted(model.config.data, source)
    if images is not None:
        files = image_files(images, source)
        yield ["file", *names]
        for these, piece in image_pieces(images, model.fitted.preparation, files):
            cells = _cells(model, piece, probabilities)
            yield from ([file, *row] for file, row in zip(these, cells, strict=True))
        return
    if isinstance(model.fitted.preparation, WindowPreparation):
        yield from _next_steps(model, source)
        return
    with _opened(source) as file:
        if source.suffix.lower() in _ARRAYS:
            pieces = array_pieces(model.config, model.fitted, source, n_values=_VALUES)
        else:
            pieces = _table_pieces(model, file, _place(source))
        first = next(pieces)
        yield names
        for piece in chain([first], pieces):
            yield from _cells(model, piece, probabilities)


def _next_steps(model: Model, source: Path) -> Iterator[list[str]]:
    """Yield the steps that follow the last one of a series."""
    preparation, where = model.fitted.preparation, _place(source)
    if not isinstance(preparation, WindowPreparation):
        raise TypeError("the model predicts no series")
    with _opened(source) as file:
        if source.suffix.lower() in _ARRAYS:
            frame = series_frame(model.config, preparation.target, source)
            check_columns(model.config.data, model.fitted, list(frame.columns), where)
        else:
            frame = pd.concat([*_chunks(model, file, where)], ignore_index=True)
    window = last_window(model.fitted, frame, where)
    yield ["step", "prediction"]
    cells = _cells(model, window, False)[0]
    yield from ([str(step), cell] for step, cell in enumerate(cells, start=1))


def _cells(model: Model, features: Array, probabilities: bool) -> list[list[str]]:
    x = torch.from_numpy(features)
    with steady_threads(model.config.trainer.threads):
        outputs = outputs_of(model.module, x, batch_size=256 if x.ndim > 2 else 1024)
    kind = str(model.config.kind)
    return cells_of(outputs, model.module.facts, kind, probabilities=probabilities)


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """Yield the file; of stdin one with all of it, which is looked through before it is used."""
    if source != STDIN:
        yield source
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin.csv"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


def _place(source: Path) -> str:
    """Name the input in errors."""
    return "stdin" if source == STDIN else str(source)


def _table_pieces(model: Model, path: Path, where: str) -> Iterator[Array]:
    """Yield prepared rows of a CSV or Parquet file."""
    done = 0
    for chunk in _chunks(model, path, where):
        yield prepared_rows(model.config.data, model.fitted, chunk, where, done)
        done += len(chunk)


def _chunks(model: Model, path: Path, where: str) -> Iterator[pd.DataFrame]:
    """Yield rows of a CSV or Parquet file, its columns checked.

    Every field of a CSV file is read as text and then as training saw its column: a piece must not
    be read differently from the whole, because of what happens to be in it.
    """
    data, fitted = model.config.data, model.fitted
    if path.suffix.lower() in (".parquet", ".pq"):
        frame = read_parquet(path, where=where)
        check_columns(data, fitted, list(frame.columns), where)
        step = max(_VALUES // len(frame.columns), 1)
        for start in range(0, len(frame), step):
            yield frame.iloc[start : start + step].reset_index(drop=True)
        return
    form = _form_of(model, path, where)
    check_first_line(path, where=where, form=form)
    header = checked_header(path, where=where, form=form)
    check_columns(data, fitted, header, where)
    with pd.read_csv(
        path,
        encoding=form.encoding,
        sep=form.delimiter,
        header=0,
        names=header,
        index_col=False,
        dtype=str,
        na_values=["?"],
        chunksize=max(_VALUES // len(header), 1),
    ) as chunks:
        for chunk in chunks:
            yield _with_points(chunk, form)


def _form_of(model: Model, path: Path, where: str) -> CsvForm:
    """Return the form of the input: as training was told, else recognised anew."""
    data = model.config.data
    if not isinstance(data, CsvConfig):
        return recognise_form(path, where=where)
    return recognise_form(path, where=where, delimiter=data.delimiter, encoding=data.encoding)


def _with_points(chunk: pd.DataFrame, form: CsvForm) -> pd.DataFrame:
    """Return rows of text with decimal points, as pandas reads numbers with decimal commas."""
    plain = chunk.reset_index(drop=True)
    if form.decimal == ".":
        return plain
    return plain.replace(_COMMA, r"\1.\2", regex=True)
