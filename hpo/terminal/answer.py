"""The two streams of a command: the answer on standard output, everything else on error."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hpo.errors import HpoError, SpecError
from hpo.words import ASCII_MARKS, MARKS

CLI_SCHEMA = "hpo.cli/1"


def say(line: str) -> None:
    """Print a line on standard error, as it is: no wrapping, no colours."""
    sys.stderr.write(_printable(line, sys.stderr.encoding) + "\n")
    sys.stderr.flush()


def answer(text: str) -> None:
    """Print the answer of a command on standard output."""
    sys.stdout.write(_printable(text, sys.stdout.encoding))
    if not text.endswith("\n"):
        sys.stdout.write("\n")


def answer_json(command: str, result: Any, *, exit_code: int = 0) -> None:
    """Print the answer as one JSON object."""
    envelope = {
        "schema": CLI_SCHEMA,
        "command": command,
        "ok": exit_code == 0,
        "exit_code": exit_code,
        "result": result,
        "warnings": [],
    }
    answer(json.dumps(envelope, ensure_ascii=False, indent=2, allow_nan=False))


def leave_standard_output() -> None:
    """Let what is still to be written there go nowhere: its reader is gone, or it is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer_error(error: HpoError, *, as_json: bool) -> None:
    """Say what went wrong: one line for each mistake, or one JSON object on standard output."""
    if not as_json:
        for line in str(error).splitlines():
            say(line)
        return
    one = {"code": error.exit_code, "where": error.where, "what": error.what, "hint": error.hint}
    if isinstance(error, SpecError):
        one["problems"] = [
            {"where": p.where, "what": p.what, "hint": p.hint} for p in error.problems
        ]
    envelope = {"schema": CLI_SCHEMA, "ok": False, "exit_code": error.exit_code, "error": one}
    answer(json.dumps(envelope, ensure_ascii=False, indent=2))


UNCUT = 10_000
"""The width of a table that no person looks at, in characters."""


def answer_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; numbers-like columns are the caller's to align by their text."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else UNCUT
    Console(width=width, highlight=False, markup=False).print(table)


def error_console() -> Console:
    """Return the console on standard error."""
    return Console(stderr=True, highlight=False)


def wants_screen(*, plain: bool) -> bool:
    """Return whether standard error is a terminal that can be redrawn, and nobody forbids it."""
    dumb = os.environ.get("TERM") == "dumb" or "CI" in os.environ
    return sys.stderr.isatty() and not dumb and not plain


def marks() -> dict[str, str]:
    """Return the signs of the states that standard error can show."""
    return MARKS if _utf8(sys.stderr.encoding) else ASCII_MARKS


def save_traceback(text: str) -> Path:
    """Keep the traceback of a bug of ours, and return where."""
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", prefix="hpo-", suffix=".traceback.txt", delete=False, encoding="utf-8"
    ) as stream:
        stream.write(text)
    return Path(stream.name)


def _utf8(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("-", "") == "utf8"


def _printable(text: str, encoding: str | None) -> str:
    if _utf8(encoding):
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    plain = text.translate(str.maketrans("→←↑↓✓✂✗×–…±", "><^v+-xx-.~"))
    return plain.encode(encoding or "ascii", "replace").decode(encoding or "ascii")
