"""Cells of CSV that no spreadsheet takes for a formula, and rows that every reader can read."""

import csv
import re
from collections.abc import Iterable
from typing import TextIO

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


class CsvWriter:
    """Writes rows of CSV that end in a newline; a line break in a cell, CR too, is quoted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writer = csv.writer(self, lineterminator="\r\n")  # it quotes what it ends lines with

    def row(self, cells: Iterable[object]) -> None:
        """Write one row."""
        self._writer.writerow(cells)

    def write(self, line: str) -> int:
        """Write one line that ends in CR LF."""
        return self._stream.write(line.removesuffix("\r\n") + "\n")


def safe_cell(text: str) -> str:
    """Return ``text`` as no spreadsheet takes it for a formula: with ``'`` before it.

    Text that has quotes there already gets one more, so that all of them can be taken off again.

    >>> safe_cell("=1+1"), safe_cell("'=1+1"), safe_cell("a"), safe_cell("'a'")
    ("'=1+1", "''=1+1", 'a', "'a'")
    """
    return "'" + text if _FORMULA.match(text) else text


def plain_cell(text: str) -> str:
    """Return what `safe_cell` was given.

    >>> [plain_cell(safe_cell(text)) for text in ("=1+1", "'=1+1", "a", "'a'")]
    ['=1+1', "'=1+1", 'a', "'a'"]
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
