"""Read through a CSV file once for what pandas would pass over: its header and ragged rows."""

import csv
from collections.abc import Iterator
from pathlib import Path

from lightning_modules.data.csv_form import DELIMITERS, CsvForm, opening_error
from lightning_modules.errors import DataError


def checked_header(path: Path, *, where: str, form: CsvForm) -> list[str]:
    """Return the column names of a CSV file whose every row has one field per column.

    A column without a name is called ``Unnamed: 0`` and so on, as pandas does.

    Raises:
        DataError: if the file is missing, a folder, unreadable, empty or without rows; a column
            name stands twice; a row has more or fewer fields than the header.
    """
    rows = _rows(path, where, form)
    header = named_columns(next(rows, (0, []))[1], where)
    n_rows = 0
    for line, fields in rows:
        n_rows += 1
        if len(fields) != len(header):
            raise wrong_width(line, len(fields), len(header), form=form, where=where)
    if not n_rows:
        raise DataError(where, "has a header but no rows", "at least one row of data is needed")
    return header


def named_columns(header: list[str], where: str) -> list[str]:
    """Return the names in a header; a column without one is ``Unnamed: 0`` and so on.

    Raises:
        DataError: if there is no column, or a name stands twice.
    """
    if not header:
        raise DataError(where, "is empty", "a header line and rows are needed")
    header = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(header)]
    if len(set(header)) < len(header):
        twice = next(name for i, name in enumerate(header) if name in header[:i])
        raise DataError(where, f"column {twice!r} stands twice", "rename one of them")
    return header


def wrong_width(line: int, given: int, expected: int, *, form: CsvForm, where: str) -> DataError:
    """Return what a user is told of a row with more or fewer fields than the header."""
    what = f"line {line} has {given} fields, the header has {expected}"
    return DataError(where, what, _quotes(form.delimiter))


def first_line(path: Path, *, where: str, form: CsvForm) -> list[str]:
    """Return the fields of the first line that is not blank; none if there is none.

    Raises:
        DataError: if the file cannot be read.
    """
    return next(_rows(path, where, form), (0, []))[1]


def line_of_row(path: Path, row: int, form: CsvForm) -> int:
    """Return the line of the file on which the 0-based data row ends; blank lines count."""
    for n, (line, _) in enumerate(_rows(path, str(path), form)):
        if n == row + 1:
            return line
    raise DataError(str(path), f"has no row {row + 1}", "was the file changed meanwhile?")


def _quotes(delimiter: str) -> str:
    """Return the hint for a row of too many fields.

    >>> _quotes(",")
    'put quotes around values that contain a comma: "a, b"'
    """
    name = DELIMITERS.get(delimiter, repr(delimiter))
    return f'put quotes around values that contain a {name}: "a{delimiter} b"'


def _rows(path: Path, where: str, form: CsvForm) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of each line that is not blank."""
    try:
        with path.open(encoding=form.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=form.delimiter)
            for fields in reader:
                if len(fields) > 1 or (fields and fields[0].strip()):
                    yield reader.line_num, fields
    except OSError as error:
        raise opening_error(path, error, where) from None
    except (csv.Error, UnicodeError) as error:
        raise DataError(where, f"is not a CSV file: {error}") from None
