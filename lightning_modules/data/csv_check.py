"""Read through a CSV file once for what pandas would pass over: its header and ragged rows."""

import csv
from collections.abc import Iterator
from pathlib import Path

from lightning_modules.errors import DataError


def checked_header(path: Path, *, where: str) -> list[str]:
    """Return the column names of a CSV file whose every row has one field per column.

    A column without a name is called ``Unnamed: 0`` and so on, as pandas does.

    Raises:
        DataError: if the file is missing, a folder, unreadable, empty, not UTF-8 or without
            rows; a column name stands twice; a row has more or fewer fields than the header.
    """
    rows = _rows(path, where)
    _, header = next(rows, (0, []))
    if not header:
        raise DataError(where, "is empty", "a header line and rows are needed")
    header = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(header)]
    if len(set(header)) < len(header):
        twice = next(name for i, name in enumerate(header) if name in header[:i])
        raise DataError(where, f"column {twice!r} stands twice", "rename one of them")
    n_rows = 0
    for line, fields in rows:
        n_rows += 1
        if len(fields) != len(header):
            raise DataError(
                where,
                f"line {line} has {len(fields)} fields, the header has {len(header)}",
                'put quotes around values that contain a comma: "a, b"',
            )
    if not n_rows:
        raise DataError(where, "has a header but no rows", "at least one row of data is needed")
    return header


def line_of_row(path: Path, row: int) -> int:
    """Return the line of the file on which the 0-based data row ends; blank lines count."""
    for n, (line, _) in enumerate(_rows(path, str(path))):
        if n == row + 1:
            return line
    raise DataError(str(path), f"has no row {row + 1}", "was the file changed meanwhile?")


def _rows(path: Path, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of each line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for fields in reader:
                if len(fields) > 1 or (fields and fields[0].strip()):
                    yield reader.line_num, fields
    except IsADirectoryError:
        raise DataError(where, "is a folder", "give the path of a CSV file") from None
    except FileNotFoundError:
        raise DataError(
            where, "there is no such file", f"looked in {path.resolve().parent}"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(where, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise DataError(where, f"cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise DataError(where, f"is not a CSV file: {error}") from None
