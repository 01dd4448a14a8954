"""JSON Schema of the study file, so that editors complete and check it, and of the best config."""

import ast
import inspect
from itertools import pairwise
from types import ModuleType
from typing import Any

from hpo import best, sections
from hpo.best import BestConfig
from hpo.search import BudgetConfig, ConstraintsConfig, SearchConfig
from hpo.space import SECTIONS
from lightning_modules.config import RunConfig
from lightning_modules.settings import Settings

STUDY: dict[str, type[Settings]] = {
    "Budget": BudgetConfig,
    "Search": SearchConfig,
    "Constraints": ConstraintsConfig,
}
"""The sections in which everything is decided."""
_NUMBER = {"type": "number"}
RANGE = {
    "type": "object",
    "description": "A number between low and high, both included.",
    "properties": {"low": _NUMBER, "high": _NUMBER, "log": {"type": "boolean"}, "step": _NUMBER},
    "required": ["low", "high"],
    "additionalProperties": False,
}
CHOICES = {
    "type": "object",
    "description": "One of several values.",
    "properties": {"choices": {"type": "array", "minItems": 1}},
    "required": ["choices"],
    "additionalProperties": False,
}


def study_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a study file, registered plugins included."""
    run = RunConfig.model_json_schema()
    definitions = run.pop("$defs", {})
    decided: set[str] = set()
    for name, model in STUDY.items():
        schema = model.model_json_schema()
        parts = {name: schema, **schema.pop("$defs", {})}
        definitions |= parts
        decided |= set(parts)
    _allow_bare_names(definitions["Search"])
    definitions["ObjectiveConfig"].pop("required", None)  # the task's default metric is filled in
    sections = {key: _undecided(run["properties"][key], definitions) for key in SECTIONS}
    opened = {key: _opened(value, definitions) for key, value in definitions.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hpo study file",
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"},
            **sections,
            **{name.lower(): {"$ref": f"#/$defs/{name}"} for name in STUDY},
        },
        "required": ["data", "model"],
        "additionalProperties": False,
        "$defs": {
            **{k: v if k in decided else opened[k] for k, v in definitions.items()},
            "range": RANGE,
            "choices": CHOICES,
        },
    }


def best_config_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of ``best_config.json``: our keys strictly, others open."""
    schema = BestConfig.model_json_schema(by_alias=True)
    said = said_of_keys(best) | said_of_keys(sections)
    for name, section in {**schema["$defs"], "BestConfig": schema}.items():
        for key, words in said.get(name, {}).items():
            section["properties"][key]["description"] = words
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "hpo best_config.json",
    }


def said_of_keys(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the docstring of each key of each class in a module.

    pydantic can read them too, but would at every import: half of what `hpo best` took.
    """
    found: dict[str, dict[str, str]] = {}
    for one in ast.parse(inspect.getsource(module)).body:
        if isinstance(one, ast.ClassDef):
            found[one.name] = {
                key.target.id: inspect.cleandoc(said.value.value)
                for key, said in pairwise(one.body)
                if isinstance(key, ast.AnnAssign)
                and isinstance(key.target, ast.Name)
                and isinstance(said, ast.Expr)
                and isinstance(said.value, ast.Constant)
                and isinstance(said.value.value, str)
            }
    return found


SCHEMAS = {"study": study_schema, "best-config": best_config_schema}
"""What `hpo schema` prints, by name."""


def _allow_bare_names(search: dict[str, Any]) -> None:
    for key in ("sampler", "pruner"):
        names = [_tag(branch) for branch in search["properties"][key]["oneOf"]]
        branches = search["properties"][key].pop("oneOf")
        search["properties"][key]["anyOf"] = [{"enum": names}, *branches]


def _tag(branch: dict[str, Any]) -> Any:
    return branch.get("properties", {}).get("name", {}).get("const", "")


def _opened(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section in which every leaf may be undecided."""
    if "properties" not in schema:
        return schema
    tags = {"family", "name", "kind", "source"}
    properties = {
        key: value if key in tags and "const" in value else _undecided(value, definitions)
        for key, value in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _undecided(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that may be decided, or searched in a way that fits it."""
    if "oneOf" in schema:
        return _union(schema, definitions)
    arms = schema.get("anyOf", [schema])
    unions = [arm for arm in arms if "oneOf" in arm]
    if unions:
        return _union(unions[0], definitions)
    if any("$ref" in arm for arm in arms) or schema.get("type") == "object":
        return schema
    kept: dict[str, Any] = {
        key: schema[key] for key in ("title", "description", "default") if key in schema
    }
    options: list[dict[str, Any]] = [dict(arm) for arm in arms]
    if any(arm.get("type") in ("integer", "number") and "enum" not in arm for arm in arms):
        options.append({"$ref": "#/$defs/range"})
    if any(arm.get("type") == "array" for arm in arms):
        options.append({"type": "object", "required": ["length", "each"]})
    options.append({"$ref": "#/$defs/choices"})
    return {**kept, "anyOf": options}


def _union(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    branches = [_opened(_resolved(branch, definitions), definitions) for branch in schema["oneOf"]]
    named = {}
    for branch in branches:
        for key, value in branch["properties"].items():
            if "const" in value:
                rest = {k: v for k, v in branch["properties"].items() if k != key}
                required = [k for k in branch.get("required", []) if k != key]
                named[value["const"]] = {
                    "type": ["object", "null"],
                    "properties": rest,
                    "required": required,
                    "additionalProperties": False,
                }
    one_of = {
        "type": "object",
        "properties": {
            "one_of": {"type": "object", "properties": named, "additionalProperties": False}
        },
        "required": ["one_of"],
        "additionalProperties": False,
    }
    return {"anyOf": [*branches, one_of]}


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else schema
