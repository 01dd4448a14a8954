"""JSON as it is written: one line, strict, UTF-8."""

import json

import orjson


def json_line(value: object) -> bytes:
    r"""Return a value as a line of JSON.

    Half a character, which names of files may hold, is written as a question mark.

    >>> json_line({"a": "caf\udce9", "b": float("nan")})
    b'{"a":"caf?","b":null}\n'
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        plain = json.loads(text, parse_constant=_none)
        return orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)


def _none(_: str) -> None:
    """Stand in for NaN and infinity: no JSON has them."""
