"""Tables of the page, and the same as CSV behind a link."""

import io
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_modules.cells import CsvWriter, safe_cell

_PLACE = re.compile(r"(?<![\w.~])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:;,'\"<>|]+[/\\])+")
"""The folders of an absolute path, up to its last name."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: its text, or a picture of ours beside it."""

    text: str = ""
    picture: str = ""
    """SVG that was made here: it is not escaped."""
    kind: str = ""
    """A class of the page's style."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Headings and rows; the first ``names`` columns are text, the others numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 1
    caption: str = ""
    marked: tuple[int, ...] = ()
    """Rows that stand out."""


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    names: int = 1,
    caption: str = "",
    marked: Sequence[int] = (),
) -> Table:
    """Return a table; what is no `Cell` becomes text."""
    return Table(
        headings=tuple(headings),
        rows=tuple(tuple(_cell(value) for value in row) for row in rows),
        names=names,
        caption=caption,
        marked=tuple(marked),
    )


@dataclass(frozen=True, kw_only=True)
class Csv:
    """Values behind a link."""

    name: str
    text: str

    @property
    def href(self) -> str:
        """A ``data:`` address that holds them."""
        coded = b64encode(self.text.encode("utf-8", "replace")).decode()
        return f"data:text/csv;charset=utf-8;base64,{coded}"


def csv(name: str, headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> Csv:
    """Return rows as CSV, safe to open in a spreadsheet."""
    stream = io.StringIO()
    writer = CsvWriter(stream)
    writer.row([safe_cell(heading) for heading in headings])
    for row in rows:
        writer.row(["" if value is None else _plain(value) for value in row])
    return Csv(name=name, text=stream.getvalue())


def placeless(text: str) -> str:
    """Return text in which a path of a machine is its last name alone.

    >>> placeless("no such file: '/home/me/a b.csv'"), placeless("lr 0.1/2 is n/a")
    ("no such file: 'a b.csv'", 'lr 0.1/2 is n/a')
    """
    return _PLACE.sub("", text)


def _plain(value: Any) -> Any:
    return safe_cell(value) if isinstance(value, str) else value


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(text="–" if value is None else str(value))
