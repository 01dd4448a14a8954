"""Predictions of a trained model for new rows, read and written in pieces: flat memory."""

import os
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import torch

from hpo.best import BestConfig
from hpo.columns import check_first_line
from hpo.errors import DataError, UsageError
from hpo.records import read_record
from lightning_modules.cells import CsvWriter, safe_cell
from lightning_modules.config import RunConfig
from lightning_modules.data.columns import CategoryColumn, DateColumn, NumericColumn
from lightning_modules.data.config import CsvConfig, TableConfig
from lightning_modules.data.csv_check import checked_header
from lightning_modules.data.csv_form import CsvForm, recognise_form
from lightning_modules.data.dates import moments_of
from lightning_modules.data.frames import Array, texts_of
from lightning_modules.data.prepare import TablePreparation
from lightning_modules.data.prepared import Fitted
from lightning_modules.data.tables import read_parquet
from lightning_modules.durable import file_sha256
from lightning_modules.module import SupervisedModule
from lightning_modules.restore import outputs_of, restore_folder
from lightning_modules.train import steady_threads

STDIN = Path("-")
CHECKPOINT = "best.ckpt"
_VALUES = 1_000_000
"""Values that are in memory at a time, in rows of the input."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"^(\s*[+-]?\d*),(\d+([eE][+-]?\d+)?\s*)$")
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    MemoryError,  # of a header that claims more than there is
    zipfile.BadZipFile,
    zlib.error,
)
_TRUTH = {"true": "True", "false": "False"}


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained model: its config, what was fitted with it, and its network."""

    config: RunConfig
    fitted: Fitted
    module: SupervisedModule

    @property
    def classes(self) -> list[str] | None:
        """The class labels in the order of the probabilities; None for regression."""
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

    Model, names and shape of the input are checked before anything is yielded, and so are the
    fields of each row.

    Args:
        model: as for `open_model`.
        source: a CSV or ``.parquet`` file with the columns of training, ``-`` for a CSV file from
            stdin; or ``.npy``, ``.npz`` (its first array) of shape ``(rows, *input_shape)``. Images
            may be laid flat: one column per value, in the CSV file too.
        probabilities: add a column ``p_<class>`` for each class.

    Raises:
        UsageError: if the model cannot be opened, or probabilities are asked of a regression.
        DataError: if the input does not fit the model: the file, the row and the column.
    """
    opened = open_model(model)
    if probabilities and opened.classes is None:
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
    path, recorded = best.checkpoint.get("path"), best.checkpoint.get("sha256")
    if not isinstance(path, str) or not isinstance(recorded, str):
        raise UsageError(str(file), "names no checkpoint", "train it with hpo train")
    folder = (file.parent / path).parent
    checkpoint = folder / CHECKPOINT
    if not checkpoint.is_file():
        raise UsageError(str(checkpoint), "no such checkpoint", "train it with hpo train")
    if file_sha256(checkpoint) != recorded:
        what = f"is not the checkpoint that {file.name} records (another sha256)"
        raise UsageError(str(checkpoint), what, "train it again with hpo train")
    return folder


def _rows(model: Model, source: Path, probabilities: bool) -> Iterator[list[str]]:
    names = ["prediction"]
    if probabilities:
        names += [f"p_{label}" for label in model.classes or []]
    with ExitStack() as stack:
        if source.suffix.lower() in (".npy", ".npz"):
            pieces = _array_pieces(model, source)
        elif source.suffix.lower() in (".parquet", ".pq"):
            pieces = _parquet_pieces(model, source)
        else:
            file = stack.enter_context(_spooled()) if source == STDIN else source
            pieces = _csv_pieces(model, file, "stdin" if source == STDIN else str(source))
        first = next(pieces)
        yield names
        for piece in chain([first], pieces):
            yield from _cells(model, piece, probabilities)


def _cells(model: Model, features: Array, probabilities: bool) -> list[list[str]]:
    x = torch.from_numpy(features)
    with steady_threads(model.config.trainer.threads):
        outputs = outputs_of(model.module, x, batch_size=256 if x.ndim > 2 else 1024).numpy()
    classes = model.classes
    if classes is None:
        return [[cell] for cell in outputs.astype(str).tolist()]
    labels = [classes[i] for i in outputs.argmax(axis=1)]
    if not probabilities:
        return [[label] for label in labels]
    shares = outputs.astype(str).tolist()
    return [[label, *row] for label, row in zip(labels, shares, strict=True)]


@contextmanager
def _spooled() -> Iterator[Path]:
    """Yield a file with all of stdin: it is looked through before the first prediction."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin.csv"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


def _csv_pieces(model: Model, path: Path, where: str) -> Iterator[Array]:
    """Yield prepared rows of a CSV file.

    Every field is read as text and then as training saw its column: a piece must not be read
    differently from the whole, because of what happens to be in it.
    """
    form = _form_of(model, path, where)
    check_first_line(path, where=where, form=form)
    header = checked_header(path, where=where, form=form)
    _check_names(model, header, where)
    done = 0
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
            yield _prepared(model, _with_points(chunk, form), where, done)
            done += len(chunk)


def _parquet_pieces(model: Model, path: Path) -> Iterator[Array]:
    """Yield prepared rows of a Parquet file."""
    frame = read_parquet(path, where=str(path))
    _check_names(model, list(frame.columns), str(path))
    step = max(_VALUES // len(frame.columns), 1)
    for start in range(0, len(frame), step):
        piece = frame.iloc[start : start + step].reset_index(drop=True)
        yield _prepared(model, piece, str(path), start)


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


def _check_names(model: Model, header: list[str], where: str) -> None:
    """Refuse missing and unknown columns; target and ignored ones may be there."""
    preparation, data = model.fitted.preparation, model.config.data
    if not isinstance(preparation, TablePreparation):
        n_values = int(np.prod(model.fitted.input_shape))
        if len(header) != n_values:
            shape = tuple(model.fitted.input_shape)
            hint = f"expected {n_values}: images {shape} laid flat, one column per value"
            raise DataError(where, f"has {len(header)} columns", hint)
        return
    expected = [column.name for column in preparation.columns]
    passed: set[str | None] = set()
    if isinstance(data, TableConfig):
        passed = {data.target, data.group, data.time, *data.ignore}
    missing = [name for name in expected if name not in header]
    extra = [name for name in header if name not in {*expected, *passed}]
    if missing or extra:
        what = [f"columns missing: {_names(missing)}"] if missing else []
        what += [f"columns not expected: {_names(extra)}"] if extra else []
        raise DataError(where, ", ".join(what), f"expected: {_names(expected)}")


def _prepared(model: Model, chunk: pd.DataFrame, where: str, done: int) -> Array:
    preparation = model.fitted.preparation
    if not isinstance(preparation, TablePreparation):
        flat = [_numbers(chunk[name], str(name), where, done) for name in chunk.columns]
        for name, values in zip(chunk.columns, flat, strict=True):
            if np.isnan(values).any():
                row = done + int(np.isnan(values).argmax()) + 1
                raise DataError(where, f"column {name!r} has no value in row {row}", "complete it")
        return preparation.apply(np.stack(flat, axis=1).reshape(-1, *model.fitted.input_shape))
    table: dict[str, Any] = {}
    for column in preparation.columns:
        texts = chunk[column.name]
        if isinstance(column, NumericColumn):
            table[column.name] = _numbers(texts, column.name, where, done)
        elif isinstance(column, DateColumn):
            table[column.name] = _dates(texts, column, where, done)
        else:
            table[column.name] = pd.Series(texts_of(texts), dtype=object)
        if isinstance(column, CategoryColumn) and set(column.categories) <= {*_TRUTH.values()}:
            table[column.name] = table[column.name].map(_as_truth, na_action="ignore")
    return preparation.apply(pd.DataFrame(table))


def _as_truth(text: str) -> str:
    """Return a boolean as pandas spells it where it recognised the whole column as booleans."""
    return _TRUTH.get(text.lower(), text)


def _dates(texts: "pd.Series[Any]", column: DateColumn, where: str, done: int) -> "pd.Series[Any]":
    """Return text ``(rows,)`` as moments; ``done`` rows came before."""
    moments = moments_of(texts, column.order)
    wrong = np.asarray(moments.isna()) & np.asarray(texts.notna())
    if wrong.any():
        at = int(wrong.argmax())
        what = f"column {column.name!r} holds dates, but row {done + at + 1} has {texts.iloc[at]!r}"
        raise DataError(where, what, "correct it, or leave it empty where the date is unknown")
    return moments


def _numbers(column: "pd.Series[Any]", name: str, where: str, done: int) -> Array:
    """Return text ``(rows,)`` as float64, NaN where it is missing; ``done`` rows came before."""
    numbers = pd.to_numeric(column.astype(object), errors="coerce").to_numpy("float64")
    wrong = (np.isnan(numbers) & np.asarray(column.notna())) | np.isinf(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        value = column.iloc[at]
        what = f"column {name!r} holds numbers, but row {done + at + 1} has {value!r}"
        raise DataError(where, what, "correct it, or leave it empty where the number is unknown")
    return np.asarray(numbers)


def _array_pieces(model: Model, path: Path) -> Iterator[Array]:
    """Yield prepared rows of an array; that of a ``.npy`` file stays on disk."""
    where, preparation = str(path), model.fitted.preparation
    array = _array_of(path, where)
    shape = tuple(model.fitted.input_shape)
    names: list[str] = []
    if isinstance(preparation, TablePreparation):
        names = [column.name for column in preparation.columns]
        text = [c.name for c in preparation.columns if not isinstance(c, NumericColumn)]
        if text:
            hint = f"give a CSV file with the columns: {_names(names)}"
            raise DataError(where, f"column {text[0]!r} is no number, an array has numbers", hint)
        shape = (len(names),)
    flat = (int(np.prod(shape)),)
    if array.shape[1:] not in (shape, flat) or not len(array) or array.dtype.kind not in "biuf":
        expected = ", ".join(map(str, ("rows", *shape)))
        what = f"holds {array.dtype} of shape {array.shape}"
        raise DataError(where, what, f"expected numbers of shape ({expected}), a row at least")
    step = max(_VALUES // flat[0], 1)
    for start in range(0, len(array), step):
        piece = np.array(array[start : start + step])
        wrong = np.isinf(piece) if names else ~np.isfinite(piece)
        if wrong.any():
            row = start + int(wrong.reshape(len(piece), -1).any(axis=1).argmax()) + 1
            raise DataError(where, f"row {row} has a value that is NaN or infinite", "correct it")
        if isinstance(preparation, TablePreparation):
            yield preparation.apply(pd.DataFrame(piece.astype(np.float64), columns=names))
        else:
            yield preparation.apply(piece.reshape(-1, *shape))


def _array_of(path: Path, where: str) -> Array:
    if not path.is_file():
        raise DataError(where, "there is no such file", f"looked in {path.resolve().parent}")
    try:
        if path.suffix.lower() == ".npy":
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not archive.files:
                raise DataError(where, "holds no array", "save one with numpy.savez")
            return np.asarray(archive[archive.files[0]])
    except _DAMAGED as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(where, f"is no array ({first})", "save it with numpy.save") from None


def _names(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
