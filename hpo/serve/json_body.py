"""JSON of a request: parsed fast, and refused where its meaning would depend on who reads it."""

import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

from hpo.serve.refusal import Refused

_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
"""Also one that does not end: from each quote in it an end would be looked for, for hours."""
_SHAPE = '{"rows": [{…}, …]} or {"columns": {"name": […], …}}'
_ROWS = '{"rows": […]}'


def parsed(body: bytes, *, brackets: int) -> Any:
    """Return what a JSON text holds.

    Args:
        body: the text, UTF-8.
        brackets: how many lists and objects it may hold: a list of a million empty lists is small
            as text, and large in memory.

    Raises:
        Refused: if it is no strict JSON (NaN and Infinity are none), or holds too many lists.
    """
    if body.count(b"[") + body.count(b"{") > brackets:
        plain = _STRING.sub(b"", body)
        if plain.count(b"[") + plain.count(b"{") > brackets:
            hint = "send fewer rows in one request"
            raise Refused(413, "rows", where="body", what="holds too many rows", hint=hint)
    try:
        return orjson.loads(body)
    except ValueError as error:
        what = f"is no JSON: {error}"
        hint = "NaN and Infinity are written null" if b"NaN" in body or b"Inf" in body else _SHAPE
        raise Refused(400, "json", where="body", what=what, hint=hint) from None


def rows_in(body: bytes, *, brackets: int, by_column: bool) -> list[Any]:
    """Return the rows of a request; of columns, rows made of them.

    Args:
        body: a JSON text.
        brackets: as for `parsed`.
        by_column: whether rows are objects, and may come as columns.

    Raises:
        Refused: if it is no JSON, holds no rows, a key twice, or columns of different lengths.
    """
    value = parsed(body, brackets=brackets)
    if not isinstance(value, dict):
        what = f"is {kind_of(value)}"
        raise Refused(422, "values", where="body", what=what, hint=f"send {_hint(by_column)}")
    rows = value.get("rows")
    n_colons = len(value)
    if isinstance(rows, list) and len(value) == 1:
        if by_column:
            n_colons += sum(len(row) for row in rows if type(row) is dict)
    elif by_column and len(value) == 1 and isinstance(value.get("columns"), dict):
        rows = _from_columns(value["columns"])
        n_colons += len(value["columns"])
    else:
        raise _no_rows(value, by_column)
    if body.count(b":") != n_colons or b"\\u003" in body:
        _check_keys(body)
    return rows


def kind_of(value: object) -> str:
    """Return what a JSON value is, in words."""
    words = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else words.get(type(value), "a number")


def first_twice(names: Sequence[str]) -> str:
    """Return the first name that stands a second time; there is one.

    >>> first_twice(["a", "b", "b", "a"])
    'b'
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("each name stands once")


def _from_columns(columns: dict[str, Any]) -> list[Any]:
    lengths = {}
    for name, values in columns.items():
        if not isinstance(values, list):
            where, hint = f"columns.{name}", "a list with the value of each row"
            raise Refused(422, "values", where=where, what=f"is {kind_of(values)}", hint=hint)
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        first, second = _unlike(lengths)
        what = f"has {lengths[second]} values, {first!r} has {lengths[first]}"
        hint = "all columns have as many values as there are rows"
        raise Refused(422, "values", where=f"columns.{second}", what=what, hint=hint)
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _unlike(lengths: dict[str, int]) -> tuple[str, str]:
    first = next(iter(lengths))
    return first, next(name for name in lengths if lengths[name] != lengths[first])


def _no_rows(value: dict[str, Any], by_column: bool) -> Refused:
    known = ("rows", "columns") if by_column else ("rows",)
    for name in known:
        if name in value and len(value) == 1:
            wanted = "a list" if name == "rows" else "an object"
            what = f"is {kind_of(value[name])}, not {wanted}"
            return Refused(422, "values", where=name, what=what, hint=_hint(by_column))
    keys = ", ".join(map(repr, list(value)[:10])) or "none"
    what = f"has the keys: {keys}"
    return Refused(422, "values", where="body", what=what, hint=f"send {_hint(by_column)}")


def _hint(by_column: bool) -> str:
    return _SHAPE if by_column else _ROWS


def _check_keys(body: bytes) -> None:
    """Refuse a key that stands twice in an object: of two values, which is meant?"""
    try:
        json.loads(body, object_pairs_hook=_unique)
    except (RecursionError, ValueError) as error:  # not what the other parser took it for
        raise Refused(400, "json", where="body", what=f"is no JSON: {error}") from None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = first_twice([key for key, _ in pairs])
        hint = "each key stands once in an object"
        raise Refused(400, "json", where="body", what=f"key {twice!r} stands twice", hint=hint)
    return found
