"""A request that is refused: where, what is wrong, what would be right; and how that is counted."""

import re

from hpo.errors import HpoError
from hpo.serve.json_line import json_line

REASONS = (
    "accept",  # no form of answer that the caller takes
    "body",  # too large, cut off, or packed in a way that is not known
    "bug",  # ours
    "busy",  # too many wait already
    "content_type",
    "host",
    "json",
    "method",
    "origin",
    "path",
    "rows",  # none, or too many
    "timeout",
    "token",
    "values",  # columns, types, shapes
)
"""Why requests are refused, as the metrics count them."""
_LONGEST = 2000
"""Characters of a part of a refusal: what it quotes may be as long as a body."""
_ROW = re.compile(r"\brow (\d+)\b")
_COLUMN = re.compile(r"\bcolumn '([^']+)'")

Header = tuple[bytes, bytes]


class Refused(Exception):  # noqa: N818  (it is an answer, no fault of ours)
    """An answer that is no.

    Args:
        status: of HTTP.
        reason: one of `REASONS`.
        where: what of the request is wrong: ``rows[3].age``.
        what: is wrong.
        hint: what would be right.
    """

    def __init__(self, status: int, reason: str, *, where: str, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.status, self.reason = status, reason
        self.where, self.what, self.hint = where, what, hint
        self.headers: tuple[Header, ...] = ()

    def with_headers(self, *headers: Header) -> "Refused":
        """Return the same answer with more headers."""
        self.headers = (*self.headers, *headers)
        return self

    def body(self) -> bytes:
        """Return the answer as JSON."""
        said = {"where": self.where, "what": self.what, "hint": self.hint}
        return json_line({"error": {name: _brief(text) for name, text in said.items()}})


def refused_values(error: HpoError) -> Refused:
    """Return the answer for rows that do not fit, the place as a path: ``rows[3].age``.

    Args:
        error: of the code that all readers of rows share, which counts rows from 1.
    """
    row, column = _ROW.search(error.what), _COLUMN.search(error.what)
    where = error.where if error.where not in ("", "data") else "rows"
    if row and where == "rows":
        where += f"[{int(row[1]) - 1}]"
        where += f".{column[1]}" if column else ""
    return Refused(422, "values", where=where, what=error.what, hint=error.hint)


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
