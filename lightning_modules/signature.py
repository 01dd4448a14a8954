"""A config model from the signature of a user's class or function: its arguments, searchable."""

import inspect
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from lightning_modules.errors import PluginError
from lightning_modules.settings import Settings

_SCALARS = (int, float, str, bool, type(None))


def config_of(
    function: Callable[..., Any], *, tag: str, name: str, base: type[Settings] = Settings
) -> type[Settings]:
    """Return the config model of the keyword arguments of ``function``.

    Arguments that are no plain values (modules, callables) keep their default and are no field.

    Args:
        function: a class or function.
        tag: the field that holds ``name``: ``family`` or ``source``.
        name: what it is registered under.
        base: a config model whose fields come along.

    Raises:
        PluginError: if an argument without default has no type, or one that no file can hold, or
            an argument is called like the tag.
    """
    where = f"{name}({_where(function)})"
    fields: dict[str, Any] = {tag: (Literal[name], name)}
    for argument, kind, default in _arguments(function, where):
        if argument == tag or argument in base.model_fields:
            raise PluginError(where, f"argument {argument!r} has a meaning here", "rename it")
        plain = plain_type(kind)
        if plain is None and default is inspect.Parameter.empty:
            what = f"argument {argument!r} of type {kind!r} cannot stand in a file"
            raise PluginError(where, what, "give it a default, or a plain type")
        if plain is None or not _plain_value(default):
            continue
        if default is inspect.Parameter.empty:
            fields[argument] = (plain, Field())
        else:
            fields[argument] = (plain, Field(_as_file(default)))
    with warnings.catch_warnings():
        # An argument may be called like a method of pydantic; it is read by field name only.
        warnings.filterwarnings("ignore", message=".*shadows an attribute.*")
        return create_model(f"{name}Config", __base__=base, __doc__=_first_line(function), **fields)


def arguments_of(function: Callable[..., Any], config: Settings, *, tag: str) -> dict[str, Any]:
    """Return the keyword arguments of ``function`` that ``config`` holds, in the types it wants."""
    values: dict[str, Any] = {}
    for argument, kind, _ in _arguments(function, type(config).__name__):
        if argument in type(config).model_fields and argument != tag:
            value = getattr(config, argument)
            values[argument] = _as_argument(value, kind)
    return values


def plain_type(kind: Any) -> Any:
    """Return ``kind`` as a type that JSON can hold (lists for tuples, text for paths), or None."""
    if kind in _SCALARS:
        return kind
    if kind is Path:
        return str
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return kind
    if origin in (Union, types.UnionType):
        arms = [plain_type(arm) for arm in args]
        return None if None in arms and type(None) not in args else _union(arms, args)
    if kind in (list, tuple):
        return list[Any]
    if origin in (list, tuple):
        inner = {plain_type(arg) for arg in args if arg is not Ellipsis}
        return list[inner.pop()] if len(inner) == 1 and None not in inner else None  # type: ignore[misc]
    return None


def _union(arms: list[Any], args: tuple[Any, ...]) -> Any:
    found = [
        arm for arm, arg in zip(arms, args, strict=True) if arm is not None or arg is type(None)
    ]
    if len(found) < len(arms):
        return None
    return Union[tuple(type(None) if arm is None else arm for arm in found)]  # noqa: UP007


def _arguments(function: Callable[..., Any], where: str) -> list[tuple[str, Any, Any]]:
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    try:
        hints = get_type_hints(target)
        parameters = inspect.signature(target).parameters
    except (NameError, TypeError, ValueError) as error:
        raise PluginError(
            where, f"its signature cannot be read ({error})", "import the type"
        ) from None
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = []
    for index, (name, parameter) in enumerate(parameters.items()):
        if parameter.kind in skipped or (index == 0 and isinstance(function, type)):
            continue
        kind: Any = hints.get(name, _guess(parameter.default))
        if kind is inspect.Parameter.empty:
            what = f"argument {name!r} has neither a type nor a default"
            raise PluginError(where, what, f"annotate it: {name}: int")
        found.append((name, kind, parameter.default))
    return found


def _guess(default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return inspect.Parameter.empty
    return list if isinstance(default, list | tuple) else type(default)


def _plain_value(value: Any) -> bool:
    if value is inspect.Parameter.empty:
        return True
    if isinstance(value, list | tuple):
        return all(map(_plain_value, value))
    return isinstance(value, (*_SCALARS, Path))


def _as_file(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_as_file(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _as_argument(value: Any, kind: Any) -> Any:
    if (get_origin(kind) is tuple or kind is tuple) and isinstance(value, list):
        return tuple(value)
    wants_path = kind is Path or Path in get_args(kind)
    return Path(value) if wants_path and isinstance(value, str) else value


def _where(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))


def _first_line(function: Callable[..., Any]) -> str:
    lines = (function.__doc__ or "").strip().splitlines()
    return lines[0] if lines else "From a plugin."
