"""CSV of a request: decoded, its rows counted and checked before a table is made of them."""

import csv
import encodings
import io
import pkgutil
from dataclasses import dataclass
from encodings.aliases import aliases
from functools import cache

import pandas as pd

from hpo.serve.json_body import first_twice
from hpo.serve.refusal import Refused
from lightning_modules.data.csv_form import DELIMITERS

_ODD = {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"}
"""Codecs that are none of texts as people keep them: slow, or half a character comes through."""


@dataclass(frozen=True, kw_only=True)
class CsvText:
    """A table as text, whose rows all have their fields."""

    text: str
    header: list[str]
    delimiter: str
    n_rows: int

    def frame(self) -> pd.DataFrame:
        """Return the table, every cell as text.

        Raises:
            Refused: if a quote does not end.
        """
        try:
            return pd.read_csv(
                io.StringIO(self.text),
                sep=self.delimiter,
                header=0,
                names=self.header,
                index_col=False,
                dtype=str,
                na_values=["?"],
            )
        except pd.errors.ParserError:
            what, hint = "is no CSV: a quote does not end", 'a quote within quotes is written ""'
            raise Refused(400, "values", where="body", what=what, hint=hint) from None


def csv_in(body: bytes, charset: str) -> CsvText:
    """Return the table of a body.

    Args:
        body: of the request.
        charset: of its content type, empty if none is named.

    Raises:
        Refused: if it is not of that charset, rows have more or fewer fields than the header, or a
            column stands twice.
    """
    text = _decoded(body, charset)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    n_rows = 0
    try:
        for fields in reader:
            if len(fields) < 2 and not any(field.strip() for field in fields):
                continue
            if not header:
                header = fields
                continue
            n_rows += 1
            if len(fields) != len(header):
                what = f"has {len(fields)} fields, the header has {len(header)}"
                where, hint = f"line {reader.line_num}", "each row has a field for each column"
                raise Refused(422, "values", where=where, what=what, hint=hint)
    except csv.Error as error:
        raise Refused(400, "values", where="body", what=f"is no CSV: {error}") from None
    if len(set(header)) < len(header):
        what = f"column {first_twice(header)!r} stands twice"
        raise Refused(422, "values", where="body", what=what, hint="each column stands once")
    return CsvText(text=text, header=header, delimiter=delimiter, n_rows=n_rows)


def _decoded(body: bytes, charset: str) -> str:
    try:
        if _codec(charset or "utf-8") not in _codecs():
            raise LookupError(charset)
        return body.decode(charset or "utf-8").removeprefix("\ufeff")
    except (UnicodeError, LookupError):
        what = f"is not {charset or 'utf-8'}"
        hint = "send UTF-8, or name the charset: text/csv; charset=gb18030"
        raise Refused(400, "values", where="body", what=what, hint=hint) from None


def _codec(charset: str) -> str:
    """Return Python's name of a charset.

    >>> _codec("utf-8"), _codec("windows-1252"), _codec("koi8-u")
    ('utf_8', 'cp1252', 'koi8_u')
    """
    plain = encodings.normalize_encoding(charset)
    return aliases.get(plain, plain)


@cache
def _codecs() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules(encodings.__path__)) - _ODD
