"""Markdown that says what it was given: names of columns and classes may hold anything."""

import re
from collections.abc import Sequence

_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#~!&])")


def plain(text: object) -> str:
    r"""Return text that Markdown shows as it is, on one line.

    >>> plain("a|b <i>\n*c*")
    'a\\|b \\<i\\> \\*c\\*'
    """
    return _SIGNS.sub(r"\\\1", " ".join(str(text).split()))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def listed(names: Sequence[str], n_most: int = 20) -> str:
    """Return names for a sentence, not too many."""
    shown = ", ".join(plain(name) for name in names[:n_most])
    return shown + (f" and {len(names) - n_most} more" if len(names) > n_most else "")
