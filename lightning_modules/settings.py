"""What every config model is made of: strict frozen settings, field roles, open unions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from lightning_modules.registry import Registry, UnknownNameError

PLUGIN_KINDS = ("family", "data source")
"""Kinds of names that a plugin can define."""


class Settings(BaseModel):
    """A part of a config: unknown keys, wrong types, infinities, later changes are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False
    )


def shape(default: Any, **bounds: Any) -> Any:
    """Declare a field that decides the program: sizes, names, batch size."""
    return Field(default, json_schema_extra={"role": "shape"}, **bounds)


def number(default: Any, **bounds: Any) -> Any:
    """Declare a field that is an input of the program: lr, weight decay, dropout, smoothing."""
    return Field(default, json_schema_extra={"role": "number"}, **bounds)


def number_fields(model: type[BaseModel]) -> list[str]:
    """Return the fields of ``model`` that were declared as a `number`."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return [
        name
        for name, extra in extras.items()
        if isinstance(extra, Mapping) and extra.get("role") == "number"
    ]


def every_field(settings: Settings) -> dict[str, Any]:
    """Return all settings as plain values, those too which a record leaves out for being off."""
    plain = settings.model_dump(mode="json")
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Settings):
            plain[name] = every_field(value)
        elif name not in plain:
            plain[name] = value
    return plain


def conflict(*lines: str) -> PydanticCustomError:
    """Return the error of settings that do not fit each other: ``key: what; hint`` for each.

    The key is a dotted path below the section that raises it.
    """
    return PydanticCustomError("conflict", "{text}", {"text": "\n".join(lines)})


class Configured(Protocol):
    """A registry entry that brings its own config model."""

    @property
    def config(self) -> type[Settings]:
        """The model of this entry's settings, its tag field included."""
        ...


@dataclass(frozen=True, eq=False)
class Tagged:
    """An open union: the value under ``tag`` names the registry entry whose config model applies.

    Put into ``Annotated``: ``model: Annotated[Settings, Tagged(FAMILIES, "family")]``. Entries that
    are registered later (plugins) are accepted from then on.
    """

    registry: Registry[Any]
    tag: str

    def model_of(self, value: Mapping[str, Any]) -> type[Settings]:
        """Return the config model that ``value`` names.

        Raises:
            PydanticCustomError: if the tag is missing, no text, or names nothing registered.
        """
        name = value.get(self.tag)
        if not isinstance(name, str):
            text = f"{self.tag} is missing; {self._names()}"
            raise PydanticCustomError("tag_missing", "{text}", {"text": text})
        try:
            model: type[Settings] = self.registry[name].config
        except UnknownNameError as error:
            text = str(error)
            if self.registry.kind in PLUGIN_KINDS:
                text += " (your own code comes with --plugin FILE)"
            context = {"text": text, "tag": self.tag}
            raise PydanticCustomError("tag_unknown", "{text}", context) from None
        return model

    def validate(self, value: Any) -> Settings:
        """Return ``value`` as the config model that its tag names.

        Raises:
            PydanticCustomError: if it is no mapping, or its tag names nothing registered.
        """
        if isinstance(value, Settings):
            value = value.model_dump()
        if not isinstance(value, Mapping):
            named = isinstance(value, str) and value in self.registry
            hint = f"write {{{self.tag}: {value}}}" if named else self._names()
            text = f"needs a mapping with the key {self.tag!r}; {hint}"
            raise PydanticCustomError("tag_mapping", "{text}", {"text": text})
        return self.model_of(value).model_validate(value)

    def _names(self) -> str:
        return f"one of: {', '.join(sorted(self.registry))}"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.model_dump(mode="json"), return_schema=core_schema.any_schema()
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        branches = [
            handler(entry.config.__pydantic_core_schema__) for entry in self.registry.values()
        ]
        return {"oneOf": branches}
