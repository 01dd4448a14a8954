"""Say what pydantic found wrong in our words: dotted path, what, what would be right."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from hpo.grammar.fields import known_keys
from lightning_modules.registry import suggest

Found = tuple[tuple[str, ...], str, str]


def config_problems(model: type[BaseModel], values: Mapping[str, Any]) -> list[Found]:
    """Return every mistake of ``values`` as path, what is wrong, what would be right."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [found for one in error.errors() for found in _say(model, values, one)]
    return []


def _say(model: type[BaseModel], values: Mapping[str, Any], error: Any) -> Iterator[Found]:
    loc = tuple(str(part) for part in error["loc"])
    kind, message = error["type"], str(error["msg"])
    if kind == "conflict":
        for line in message.splitlines():
            path, _, rest = line.partition(": ")
            what, _, hint = rest.partition("; ")
            yield (*loc, *path.split(".")), what, hint
    elif kind == "extra_forbidden":
        yield loc, "unknown key", suggest(loc[-1], known_keys(model, values, loc[:-1]))
    elif kind == "missing":
        yield loc, "is missing", "this setting has no default"
    elif kind == "tag_unknown":
        what, _, hint = message.partition("; ")
        yield _place_of_tag(values, loc, error["ctx"]["tag"]), what, hint
    elif kind in ("tag_missing", "tag_mapping"):
        what, _, hint = message.partition("; ")
        yield loc, what, hint
    elif kind == "value_error":
        what, _, hint = message.removeprefix("Value error, ").partition("; ")
        yield loc, what, hint
    else:
        told = message[0].lower() + message[1:]
        yield (
            loc,
            f"{_short(error['input'])} does not fit",
            told.replace("input should", "it should"),
        )


def _place_of_tag(values: Any, loc: tuple[str, ...], tag: str) -> tuple[str, ...]:
    """Return the path of the tag of the section ``loc``, or ``loc`` where a bare name stands."""
    for part in loc:
        values = values.get(part) if isinstance(values, Mapping) else None
    return (*loc, tag) if isinstance(values, Mapping) else loc


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
