"""Rows of a CSV table with the types of training: numbers as numbers, and text where that fails."""

import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo.errors import DataError
from hpo.predict.csv_blocks import CsvBlocks, Readable, open_blocks
from hpo.predict.header import FLOATS_HOLD, check_columns, kinds_of
from hpo.predict.pieces import Column, Piece
from hpo.predict.predictor import Inputs
from hpo.predict.typed import typed_frame
from lightning_modules.data.config import CsvConfig
from lightning_modules.data.csv_form import CsvForm, recognise_form
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.registry import suggest

HEAD_BYTES = 1 << 20
"""Of a stream, by which its form is recognised."""
_COMMA = re.compile(r"^(\s*[+-]?(?=,?\d)\d*),(\d*([eE][+-]?\d+)?\s*)$")
_DTYPES = {"number": "float64", "category": "object", "date": "object", "text": "object"}


def csv_file_pieces(inputs: Inputs, path: Path, keep: Sequence[str]) -> Iterator[Piece]:
    """Yield the rows of a CSV file; of a series its last window.

    Raises:
        DataError: if the file cannot be read, or does not fit the model.
    """
    where = str(path)
    form = _form(inputs, path, where)
    size = os.path.getsize(path)
    with path.open("rb") as stream:
        for piece in _pieces(inputs, open_blocks(stream, form, where), where, keep):
            yield Piece(raw=piece.raw, kept=piece.kept, share=min(stream.tell() / size, 1.0))


def csv_stream_pieces(
    inputs: Inputs, stream: Readable, where: str, keep: Sequence[str]
) -> Iterator[Piece]:
    """Yield the rows of CSV from a stream, the form of which its first mebibyte shows.

    Raises:
        DataError: if it does not fit the model.
    """
    head = stream.read(HEAD_BYTES)
    whole = len(head) < HEAD_BYTES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.csv"
        path.write_bytes(head if whole else head[: head.rfind(b"\n") + 1] or head)
        form = _form(inputs, path, where)
    yield from _pieces(inputs, open_blocks(_Resumed(head, stream), form, where), where, keep)


class _Resumed:
    """A stream of which the beginning was read already."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        """Return the beginning first."""
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._rest.read(size)


def _form(inputs: Inputs, path: Path, where: str) -> CsvForm:
    """Return the form of the input: as training was told, else recognised anew."""
    data = inputs.data
    if not isinstance(data, CsvConfig):
        return recognise_form(path, where=where)
    return recognise_form(path, where=where, delimiter=data.delimiter, encoding=data.encoding)


def _pieces(inputs: Inputs, table: CsvBlocks, where: str, keep: Sequence[str]) -> Iterator[Piece]:
    check_kept(keep, table.header, where)
    check_columns(inputs, table.header, where, also=keep)
    reader = _reader(inputs, table, where, keep)
    if isinstance(inputs.fitted.preparation, WindowPreparation):
        frames = [reader.frame(block) for block in filter(_has_rows, table.blocks)]
        _check_rows(sum(map(len, frames)), where)
        yield Piece(raw=typed_frame(inputs, pd.concat(frames, ignore_index=True), where))
        return
    done = 0
    for block in filter(_has_rows, table.blocks):
        frame = reader.frame(block)
        raw = typed_frame(inputs, frame, where, done=done)
        yield Piece(raw=raw, kept=reader.kept(block))
        done += len(frame)
    _check_rows(done, where)


def check_kept(keep: Sequence[str], header: Sequence[str], where: str) -> None:
    """Refuse to copy columns through that there are not.

    Raises:
        DataError: if there is one.
    """
    for name in keep:
        if name not in header:
            hint = suggest(name, list(header))
            raise DataError("--keep", f"{where} has no column {name!r}", hint)


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads blocks of rows by pandas.

    Numbers are read as such at once. Where some value is none, or none that float64 holds exactly,
    the block is read as text and then as training saw its columns: that finds the value, and reads
    whole numbers as training did.
    """

    table: CsvBlocks
    where: str
    dtypes: dict[str, str]
    keep: list[str]

    def frame(self, block: bytes) -> pd.DataFrame:
        """Return the columns that are looked at, their numbers and categories, or text."""
        try:
            frame = self._read(block, dtype=self.dtypes, decimal=self.table.form.decimal)
        except (ValueError, OverflowError):
            return self._texts(block)
        numbers = [name for name, dtype in self.dtypes.items() if dtype == "float64"]
        if any(_is_large(frame[name].to_numpy()) for name in numbers):
            return self._texts(block)
        return frame

    def kept(self, block: bytes) -> dict[str, Column]:
        """Return the columns that are copied through, as text, whatever stands there."""
        if not self.keep:
            return {}
        texts = self._read(block, names=self.keep, dtype="object", na_filter=False)
        return {name: texts[name] for name in self.keep}

    def _texts(self, block: bytes) -> pd.DataFrame:
        try:
            frame = self._read(block, dtype=str)
        except ValueError as error:
            first = str(error).splitlines()[0]
            raise DataError(self.where, f"is not a CSV file: {first}") from None
        if self.table.form.decimal == ".":
            return frame
        for name, dtype in self.dtypes.items():
            if dtype == "float64":  # as pandas reads numbers with decimal commas
                frame[name] = frame[name].str.replace(_COMMA, r"\1.\2", regex=True)
        return frame

    def _read(
        self, block: bytes, *, names: Sequence[str] | None = None, **options: Any
    ) -> pd.DataFrame:
        delimiter = self.table.form.delimiter
        known: dict[str, Any] = {
            "sep": delimiter,
            "header": None,
            "names": self.table.header,
            "usecols": list(self.dtypes) if names is None else list(names),
            "index_col": False,
            "encoding": "utf-8",
            "na_values": ["?"],
            "low_memory": len(delimiter.encode()) > 1,  # another reader, which is always so
        }
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(block), **known, **options)
        return frame


def _reader(inputs: Inputs, table: CsvBlocks, where: str, keep: Sequence[str]) -> _Reader:
    kinds = kinds_of(inputs, table.header, where, also=keep)
    dtypes = {name: _DTYPES[kind] for name, kind in kinds.items()}
    return _Reader(table=table, where=where, dtypes=dtypes, keep=list(dict.fromkeys(keep)))


def _has_rows(block: bytes) -> bool:
    return bool(block.strip(b" \r\n"))


def _is_large(numbers: "np.ndarray[Any, np.dtype[np.float64]]") -> bool:
    """Say whether a whole number may have been rounded, or a number is infinite."""
    return bool((np.abs(numbers) >= FLOATS_HOLD).any())


def _check_rows(n_rows: int, where: str) -> None:
    if not n_rows:
        raise DataError(where, "has a header but no rows", "at least one row of data is needed")
