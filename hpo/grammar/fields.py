"""What a config field accepts, found by walking the config models."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from lightning_modules.settings import Settings, Tagged


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place in a config: a number, a list, a section, an open union, or anything else."""

    whole: bool | None = None
    """True for integers, False for floats, None where no range fits."""
    model: type[Settings] | None = None
    tagged: Tagged | None = None
    item: "Slot | None" = None
    allowed: tuple[Any, ...] = ()
    """The values of a closed choice."""


def slot_of(field: FieldInfo) -> Slot:
    """Return what ``field`` accepts."""
    return _slot(field.annotation, field.metadata)


def _slot(annotation: Any, metadata: Sequence[Any] = ()) -> Slot:
    for mark in metadata:
        if isinstance(mark, Tagged):
            return Slot(tagged=mark)
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        return _slot(inner, marks)
    if origin in (Union, types.UnionType):
        inner = [arm for arm in get_args(annotation) if arm is not type(None)]
        return _slot(inner[0]) if len(inner) == 1 else Slot()
    if origin is Literal:
        return Slot(allowed=get_args(annotation))
    if origin is list:
        return Slot(item=_slot(get_args(annotation)[0]))
    if annotation in (int, float):
        return Slot(whole=annotation is int)
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return Slot(model=annotation)
    return Slot()


def section_model(slot: Slot, values: Any) -> type[BaseModel] | None:
    """Return the config model that applies to ``values`` in ``slot``, None where none does."""
    if slot.tagged is None:
        return slot.model
    if not isinstance(values, Mapping):
        return None
    try:
        return slot.tagged.model_of(values)
    except PydanticCustomError:
        return None


def field_slot(model: type[BaseModel] | None, name: str) -> Slot:
    """Return the slot of field ``name`` of ``model``; an empty one where there is none."""
    if model is None or name not in model.model_fields:
        return Slot()
    return slot_of(model.model_fields[name])


def known_keys(model: type[BaseModel], values: Any, path: Sequence[str]) -> list[str]:
    """Return the keys that may stand at ``path`` of ``values``, a config of ``model``."""
    current: type[BaseModel] | None = model
    for name in path:
        slot = field_slot(current, name)
        values = values.get(name) if isinstance(values, Mapping) else None
        current = section_model(slot, values)
    return [] if current is None else list(current.model_fields)
