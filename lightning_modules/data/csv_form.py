"""The form of a CSV file: its encoding, its delimiter and its decimal mark, recognised or given."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_modules.errors import DataError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "is a zip archive or an Excel file", "unpack it, or save the sheet as CSV"),
    (b"\x1f\x8b", "is compressed by gzip", "unpack it"),
    (b"PAR1", "is a Parquet file", "data.source: parquet"),
)
_EAST_ASIAN = {"gb18030": "gb2312", "big5": "big5", "cp932": "shift_jis"}
_COMMON_LEADS = {  # the first bytes of each set's frequent characters, marks and kana
    "gb18030": ((0xA1, 0xA3), (0xB0, 0xD7)),
    "big5": ((0xA1, 0xA3), (0xA4, 0xC6)),
    "cp932": ((0x81, 0x83), (0x88, 0x98)),
}
_WESTERN_MARKS = frozenset("–—\u2018\u2019“”…€£§°µ²³·«»©®±½¼¾¿¡ºª")
_PIECE = 1 << 20
_SAMPLE = 1 << 18
_COMMA_NUMBER = re.compile(r"\s*[+-]?\d+,\d+\s*")
_POINT_NUMBER = re.compile(r"\s*[+-]?\d+\.\d+\s*")


@dataclass(frozen=True, kw_only=True)
class CsvForm:
    """How a CSV file is read: encoding, delimiter, and what stands before decimals."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal: str = "."

    def __str__(self) -> str:
        known = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        comma = ", decimal commas" if self.decimal == "," else ""
        return f"{self.encoding.removesuffix('-sig')}, delimiter {known}{comma}"


def recognise_form(
    path: Path, *, where: str, delimiter: str | None = None, encoding: str | None = None
) -> CsvForm:
    """Return the form of a CSV file; what is given is not guessed.

    UTF-8, UTF-16 and UTF-32 are certain. Of other encodings, which any bytes may fit, that is taken
    in which most of the text is made of frequent characters: gb18030, big5, cp932 (shift_jis),
    cp1252, and latin-1 as the last resort.

    Raises:
        DataError: if the file cannot be read, is no text, or is not in the ``encoding`` given: the
            line.
    """
    if encoding is None:
        encoding = _recognise_encoding(path, where)
    else:
        _check_encoding(path, encoding, where)
    lines = _first_lines(path, encoding, where)
    if delimiter is None:
        delimiter = _recognise_delimiter(lines)
    return CsvForm(encoding=encoding, delimiter=delimiter, decimal=_decimal(lines, delimiter))


def opening_error(path: Path, error: OSError, where: str) -> DataError:
    """Return what a user is told of a file that cannot be opened."""
    if isinstance(error, IsADirectoryError):
        return DataError(where, "is a folder", "give the path of a file")
    if isinstance(error, FileNotFoundError):
        return DataError(where, "there is no such file", f"looked in {path.resolve().parent}")
    return DataError(where, f"cannot be read: {error.strerror}")


def _pieces(path: Path, where: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise opening_error(path, error, where) from None


def _recognise_encoding(path: Path, where: str) -> str:
    head = next(_pieces(path, where), b"")
    for start, what, hint in _OTHER_FILES:
        if head.startswith(start):
            raise DataError(where, what, hint)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            _check_encoding(path, encoding, where)
            return encoding
    if b"\0" in head:
        return _utf16(head, where)
    at = _first_wrong_byte(path, "utf-8", where)
    if at is None:
        return "utf-8-sig"
    sample = _sample(path, at)
    scores = {name: _share_common(sample, name) for name in _EAST_ASIAN}
    scores["cp1252"] = _share_western(sample)
    fitting = [name for name in scores if _first_wrong_byte(path, name, where) is None]
    best = max(fitting, key=lambda name: (scores[name], name == "cp1252"), default="latin-1")
    if best in _EAST_ASIAN and scores[best] < 0.5:
        return "cp1252" if "cp1252" in fitting else "latin-1"
    return best


def _utf16(head: bytes, where: str) -> str:
    """Return which UTF-16 it is: letters of ours have a zero as every second byte."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < max(len(head) / 8, 4) or min(even, odd) > max(even, odd) / 2:
        what = f"is no text: byte {head.index(0) + 1} is zero"
        raise DataError(where, what, "give a CSV file, or set data.encoding")
    return "utf-16-be" if even > odd else "utf-16-le"


def _check_encoding(path: Path, encoding: str, where: str) -> None:
    at = _first_wrong_byte(path, encoding, where)
    if at is None:
        return
    with path.open("rb") as file:
        line = file.read(at).count(b"\n") + 1
    what = f"line {line} is not {encoding.removesuffix('-sig')} (byte {at + 1} of the file)"
    raise DataError(where, what, "set data.encoding, or save the file as UTF-8")


def _first_wrong_byte(path: Path, encoding: str, where: str) -> int | None:
    """Return the place of the first byte that ``encoding`` cannot read, None if there is none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done, held = 0, 0  # held: bytes that the decoder keeps from one piece to the next
    try:
        for piece in _pieces(path, where):
            decoder.decode(piece)
            done += len(piece)
            held = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return done - held + error.start
    except UnicodeError:  # UTF-16 without its mark
        return 0
    return None


def _sample(path: Path, at: int) -> bytes:
    """Return some whole lines from the one on which byte ``at`` stands."""
    with path.open("rb") as file:
        file.seek(max(at - _SAMPLE // 4, 0))
        before = file.read(min(at, _SAMPLE // 4))
        after = file.read(_SAMPLE)
    start = before[before.rfind(b"\n") + 1 :]
    return start + (after[: after.rfind(b"\n")] if len(after) == _SAMPLE else after)


def _share_common(sample: bytes, encoding: str) -> float:
    """Return the share of the characters beyond ASCII that are frequent ones of ``encoding``."""
    found = [one for one in sample.decode(encoding, "replace") if ord(one) >= 128]
    leads = [one.encode(_EAST_ASIAN[encoding], "ignore") for one in found]
    ranges = _COMMON_LEADS[encoding]
    good = [len(raw) == 2 and any(low <= raw[0] <= high for low, high in ranges) for raw in leads]
    return sum(good) / max(len(good), 1)


def _share_western(sample: bytes) -> float:
    """Return how far bytes beyond ASCII stand alone as letters, as in Western words."""
    text = sample.decode("cp1252", "replace")
    worth, n_found = 0.0, 0
    for before, one, after in zip(" " + text, text, text[1:] + " ", strict=False):
        if ord(one) < 128:
            continue
        n_found += 1
        if ord(before) < 128 and ord(after) < 128:
            worth += 1.0 if one.isalpha() else 0.5 if one in _WESTERN_MARKS else 0.0
    return worth / max(n_found, 1)


def _first_lines(path: Path, encoding: str, where: str) -> list[str]:
    try:
        with path.open(encoding=encoding, newline="") as file:
            text = file.read(_SAMPLE)
            whole = not file.read(1)
    except OSError as error:
        raise opening_error(path, error, where) from None
    lines = list(io.StringIO(text, newline=""))
    lines = [line for line in (lines if whole else lines[:-1]) if line.strip()]
    return lines or [text]


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def _recognise_delimiter(lines: list[str]) -> str:
    """Return the delimiter that gives every line as many fields, the comma where it does."""
    rows = {mark: _rows(lines, mark) for mark in DELIMITERS}
    widths = {  # of many lines, the last may be cut
        mark: {len(row) for row in (found[:-1] if len(found) > 20 else found)}
        for mark, found in rows.items()
    }
    even = {mark: max(found) for mark, found in widths.items() if len(found) == 1}
    if even.get(",", 1) > 1:
        return ","
    best = max(even, key=lambda mark: even[mark], default=",")
    if even.get(best, 1) > 1:
        return best
    # No delimiter fits all lines: that of the header, so that the line that does not fit is named.
    header = {mark: len(next(iter(_rows(lines[:1], mark)), [])) for mark in DELIMITERS}
    return max(header, key=lambda mark: header[mark])


def _decimal(lines: list[str], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    fields = [field for row in _rows(lines, delimiter)[1:] for field in row]
    commas = any(_COMMA_NUMBER.fullmatch(field) for field in fields)
    points = any(_POINT_NUMBER.fullmatch(field) for field in fields)
    return "," if commas and not points else "."
