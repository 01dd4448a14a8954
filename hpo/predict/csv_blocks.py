"""A CSV table, in a file or a stream, cut into blocks of whole rows that have all their fields."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hpo.draft.columns import check_names
from hpo.errors import DataError
from lightning_modules.data.csv_check import named_columns, wrong_width
from lightning_modules.data.csv_form import CsvForm

BLOCK_BYTES = 1 << 20
"""Bytes that are read at a time; a row may be longer."""
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        ...


@dataclass(frozen=True, kw_only=True)
class CsvBlocks:
    """A table in CSV: its header, and its rows as UTF-8, block by block."""

    header: list[str]
    form: CsvForm
    blocks: Iterator[bytes]
    """Each ends with a row; blank lines may be among them."""


def open_blocks(stream: Readable, form: CsvForm, where: str) -> CsvBlocks:
    """Return the header of a CSV table and its rows, which are read when they are asked for.

    Raises:
        DataError: if it is empty, its first line holds numbers, or a name stands twice. Asking for
            blocks raises it if a row has more or fewer fields than the header, or bytes are not in
            the form's encoding.
    """
    pieces = _utf8(stream, form, where)
    data, last, found = b"", False, None
    while found is None and not last:
        piece = next(pieces, None)
        data, last = data + (piece or b""), piece is None
        found = _first_row(data, form, where, last=last)
    fields, end, lines = found or ([], 0, 0)
    check_names(fields, where=where)
    header = named_columns(fields, where)
    cutter = _Cutter(form=form, where=where, n_fields=len(header), lines=lines)
    return CsvBlocks(header=header, form=form, blocks=_blocks(cutter, data[end:], pieces))


def _blocks(cutter: "_Cutter", data: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole rows; what is behind the last of them is looked at again with what follows."""
    last, least = False, 1
    while data or not last:
        while not last and len(data) < least:
            piece = next(pieces, None)
            data, last = data + (piece or b""), piece is None
        if last and data and not data.endswith(b"\n"):
            data += b"\n"
        end = cutter.cut(data, last=last)
        if end:
            yield data[:end]
        data = data[end:]
        least = len(data) + 1 if end else 2 * len(data)  # of a long row ever more at a time


@dataclass(kw_only=True)
class _Cutter:
    """Finds where the last whole row ends, and refuses rows that are too short or too long."""

    form: CsvForm
    where: str
    n_fields: int
    lines: int
    """Of the table before what is cut."""

    def cut(self, data: bytes, *, last: bool) -> int:
        """Return how many of the bytes are whole rows: all, if they are the ``last``."""
        end = _regular_end(data, self.form.delimiter, self.n_fields, last=last)
        if end is None:
            return self._read_through(data, last=last)
        self.lines += data.count(b"\n", 0, end)
        return end

    def _read_through(self, data: bytes, *, last: bool) -> int:
        """Do it with Python's own reader, which is slower and knows the line of each row."""
        reading = _Reading(data, self.form)
        end, line = 0, 0
        held: list[str] | None = None
        held_at = (0, 0)
        for fields in reading.rows(self.where):
            if held is not None:
                self._check(held, held_at[1])
                end, line = held_at
            held, held_at = fields, (reading.consumed, reading.line)
        if last:  # otherwise the last row may go on behind these bytes
            self._check(held or [], held_at[1])
            end, line = len(data), held_at[1]
        self.lines += line
        return end

    def _check(self, fields: list[str], line: int) -> None:
        if _is_row(fields) and len(fields) != self.n_fields:
            at = self.lines + line
            raise wrong_width(at, len(fields), self.n_fields, form=self.form, where=self.where)


class _Reading:
    """Reads rows with Python's own reader, and knows how many bytes and lines it has used."""

    def __init__(self, data: bytes, form: CsvForm) -> None:
        self.consumed, self.line = 0, 0
        self._text = io.StringIO(data.decode(), newline="")
        self._reader = csv.reader(self._lines(), delimiter=form.delimiter)

    def rows(self, where: str) -> Iterator[list[str]]:
        """Yield the fields of each row, none of a blank line."""
        try:
            for fields in self._reader:
                self.line = self._reader.line_num
                yield fields
        except csv.Error as error:
            raise DataError(where, f"is not a CSV file: {error}") from None

    def _lines(self) -> Iterator[str]:
        for line in self._text:
            self.consumed += len(line.encode())
            yield line


def _first_row(
    data: bytes, form: CsvForm, where: str, *, last: bool
) -> tuple[list[str], int, int] | None:
    """Return the fields of the first row, and how many bytes and lines it ends behind."""
    reading = _Reading(data, form)
    for fields in reading.rows(where):
        if _is_row(fields):
            whole = last or reading.consumed < len(data)
            return (fields, reading.consumed, reading.line) if whole else None
    return None


def _is_row(fields: list[str]) -> bool:
    return len(fields) > 1 or (bool(fields) and bool(fields[0].strip()))


def _regular_end(data: bytes, delimiter: str, n_fields: int, *, last: bool) -> int | None:
    """Return where the last whole row ends, None if a closer look is needed.

    It is where a line ends otherwise than in a newline, a quote stands within a field that does
    not begin with one, or a row has not as many fields as it must have.
    """
    if len(delimiter.encode()) > 1 or (b"\r" in data and _returns_alone(data, last=last)):
        return None
    buffer, comma = np.frombuffer(data, np.uint8), ord(delimiter)
    marks = (buffer == _NEWLINE) | (buffer == comma)
    if b'"' in data:
        quotes = buffer == _QUOTE
        if not _quotes_fields(buffer, np.flatnonzero(quotes), comma):
            return None
        places = np.flatnonzero(marks | quotes)
        kinds = buffer[places]
        is_quote = kinds == _QUOTE
        outside = ~is_quote & (np.cumsum(is_quote) % 2 == 0)
        places, kinds = places[outside], kinds[outside]
        ends = np.flatnonzero(kinds == _NEWLINE)
        end = int(places[ends[-1]]) + 1 if len(ends) else 0
        kinds = kinds[: int(ends[-1]) + 1] if len(ends) else kinds[:0]
    else:
        end = data.rfind(b"\n") + 1
        kinds = buffer[:end][marks[:end]]
    if last and end < len(data):
        return None
    is_end = kinds == _NEWLINE
    even = len(kinds) % n_fields == 0 and int(is_end.sum()) == len(kinds) // n_fields
    return end if even and bool(is_end[n_fields - 1 :: n_fields].all()) else None


def _returns_alone(data: bytes, *, last: bool) -> bool:
    """Say whether a return has no newline behind it; behind the end there may be one."""
    alone = data.count(b"\r") - data.count(b"\r\n")
    return alone > (data.endswith(b"\r") and not last)


def _quotes_fields(
    buffer: "np.ndarray[tuple[int], np.dtype[np.uint8]]",
    places: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    comma: int,
) -> bool:
    """Say whether each quote begins a field, ends one, or is one of two within a quoted field."""
    opening, closing = places[0::2], places[1::2]
    before = buffer[opening[opening > 0] - 1]
    after = buffer[closing[closing < len(buffer) - 1] + 1]
    begins = (before == comma) | (before == _NEWLINE) | (before == _QUOTE)
    ends = (after == comma) | (after == _NEWLINE) | (after == _RETURN) | (after == _QUOTE)
    return bool(begins.all()) and bool(ends.all())


def _utf8(stream: Readable, form: CsvForm, where: str) -> Iterator[bytes]:
    """Yield text as UTF-8, lines that end in a return alone as lines that end in a newline."""
    decoder = codecs.getincrementaldecoder(form.encoding)()
    returns: bool | None = None
    done, lines, piece = 0, 0, b"."
    while piece:
        piece = stream.read(BLOCK_BYTES)
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeError as error:
            at = error.start if isinstance(error, UnicodeDecodeError) else 0
            line = lines + piece[: max(at - held, 0)].count(b"\n") + 1
            name = form.encoding.removesuffix("-sig")
            what = f"line {line} is not {name} (byte {done - held + at + 1})"
            hint = "save it as UTF-8, or give it as a file, which is looked through first"
            raise DataError(where, what, hint) from None
        done += len(piece)
        if returns is None and ("\r" in text[:-1] or "\n" in text):
            returns = "\n" not in text
        if returns:
            text = text.replace("\r", "\n")
        lines += text.count("\n")
        if text:
            yield text.encode()
