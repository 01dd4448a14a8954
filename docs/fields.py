"""The keys of a config model as rows of a table: type, default, bounds, meaning."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hpo.schema import said_of_keys
from hpo.search import Duration
from lightning_modules.data.config import Columns
from lightning_modules.settings import Settings, Tagged

NAMES: Mapping[Any, str] = {int: "whole number", float: "number", bool: "true, false", str: "text"}
KNOWN: Mapping[Any, str] = {
    Duration: "time: `90s`, `10m`, `1h30m`",
    Columns: "text, or list of text",
}
EVIDENT: Mapping[str, str] = {
    "accelerator": "`auto` takes a GPU if there is one.",
    "augment": "[Below](#dataaugment); off.",
    "channels": "In colour, or not.",
    "early_stopping": "[Below](#trainerearly_stopping); off.",
    "loss": "[Which](#taskloss).",
    "path": "The file, or the folder.",
    "precision": "In how many bits it computes; where nothing is said, a study measures.",
    "prepare": "[Below](#dataprepare).",
}
"""What is said of keys that speak for themselves in the code."""
BOUNDS: Mapping[type, tuple[str, str]] = {
    Ge: ("≥", "ge"),
    Gt: (">", "gt"),
    Le: ("≤", "le"),
    Lt: ("<", "lt"),
    MinLen: ("at least", "min_length"),
    MaxLen: ("at most", "max_length"),
}


def table(model: type[Settings], keys: Sequence[str]) -> list[str]:
    """Return the table of some keys of a model, or nothing if there are none."""
    if not keys:
        return []
    said = [meaning(model, key) for key in keys]
    rows = [[f"`{key}`", type_words(model, key), default_words(model, key)] for key in keys]
    headings = ["key", "value", "default"]
    if any(said):
        headings = [*headings, "meaning"]
        rows = [[*row, words] for row, words in zip(rows, said, strict=True)]
    marks = "|".join("---" for _ in headings)
    return [
        f"| {' | '.join(headings)} |",
        f"|{marks}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def settings_words(model: type[Settings]) -> str:
    """Return all keys of a model, with default and bounds, as one cell of a table."""
    found = []
    for name in all_keys(model):
        bounds = bounds_words(model, name)
        found.append(f"`{name}` {default_words(model, name)}" + (f" ({bounds})" if bounds else ""))
    return "; ".join(found)


def all_keys(model: type[Settings]) -> list[str]:
    """Return the keys of a model, without the one that holds its name."""
    return [name for name, field in model.model_fields.items() if not _is_tag(field)]


def own_keys(model: type[Settings]) -> list[str]:
    """Return those of its keys that a model declares itself, not its bases."""
    declared = inspect.get_annotations(model)
    return [name for name in all_keys(model) if name in declared]


def summary(model: type[Settings]) -> str:
    """Return what a model's docstring says, as Markdown."""
    return markdown(inspect.cleandoc(model.__doc__ or ""))


def meaning(model: type[Settings], name: str) -> str:
    """Return the docstring under a key, of the class nearest to the model that has one."""
    for base in model.__mro__:
        said = _said(base).get(name) if issubclass(base, Settings) else None
        if said:
            return markdown(said)
    return EVIDENT.get(name, "")


def markdown(text: str) -> str:
    """Return a docstring in one line of Markdown that may stand in a table."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def type_words(model: type[Settings], name: str) -> str:
    """Return which values a key takes, with their bounds."""
    field = model.model_fields[name]
    words = _words_of(field.annotation, field.metadata)
    bounds = bounds_words(model, name)
    if bounds == "at least 1, at most 1":
        return "one character"
    return f"{words} {bounds}" if bounds else words


def bounds_words(model: type[Settings], name: str) -> str:
    """Return the bounds of a key."""
    field = model.model_fields[name]
    return _bounds(field.metadata)


def default_words(model: type[Settings], name: str) -> str:
    """Return the default of a key, as a study file has it; a dash if there is none."""
    value = _default(model, name)
    if value is PydanticUndefined:
        return "**needed**"
    if isinstance(value, Settings):
        return _settings_default(value)
    if value is None:
        return "–"
    return f"`{_plain(value)}`"


def _settings_default(value: Settings) -> str:
    tags = [key for key, field in type(value).model_fields.items() if _is_tag(field)]
    return f"`{vars(value)[tags[0]]}`" if tags else "its defaults"


def _default(model: type[Settings], name: str) -> Any:
    """Return what a key has when nothing is said, what validators fill in included."""
    field = model.model_fields[name]
    if field.is_required():
        return PydanticUndefined
    try:
        return getattr(model(), name)
    except ValidationError:
        return field.get_default(call_default_factory=True)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _words_of(annotation: Any, metadata: list[Any]) -> str:
    """Return the values of a type in words."""
    for known, words in KNOWN.items():
        if annotation == known or get_args(known)[1:] == tuple(metadata) != ():
            return words
    if any(isinstance(one, Tagged) for one in metadata):
        return "one of several kinds"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        rest = [one for one in arguments if one is not type(None)]
        return " or ".join(dict.fromkeys(_words_of(one, metadata) for one in rest))
    if origin is Literal:
        return ", ".join(f"`{_plain(one)}`" for one in arguments)
    if origin is list:
        return f"list of {_plural(_words_of(arguments[0], []))}"
    if origin is dict:
        return "mapping"
    if _is_annotated(annotation):
        inner = list(getattr(annotation, "__metadata__", ()))
        return f"{_words_of(arguments[0], inner)} {_bounds(inner)}".strip()
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return "mapping"
    return NAMES[annotation]


def _plural(words: str) -> str:
    return re.sub(r"^(whole number|number)", r"\1s", words).replace("mapping", "mappings")


def _is_annotated(annotation: Any) -> bool:
    return bool(getattr(annotation, "__metadata__", ()))


def _bounds(metadata: list[Any]) -> str:
    return ", ".join(_bound_words(metadata))


def _bound_words(metadata: list[Any]) -> Iterator[str]:
    known = {type(one): one for one in metadata}
    if Ge in known and Le in known:
        yield f"{_figure(known[Ge].ge)} to {_figure(known[Le].le)}"
        return
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from _bound_words(one.metadata)
        elif type(one) in BOUNDS:
            sign, name = BOUNDS[type(one)]
            yield f"{sign} {_figure(getattr(one, name))}"


def _figure(value: float) -> str:
    return "2³²" if value == 2**32 else f"{value:,}"


def _is_tag(field: FieldInfo) -> TypeGuard[FieldInfo]:
    """Return whether a key holds the name of what the model is, and nothing else."""
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


@cache
def _said(model: type) -> Mapping[str, str]:
    module = inspect.getmodule(model)
    return {} if module is None else said_of_keys(module).get(model.__name__, {})
