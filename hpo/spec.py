"""StudySpec: the whole study file, its overrides applied, every mistake named at once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from hpo.errors import Problem, SpecError, UsageError
from hpo.files import Document, RawPath, dump_yaml, parse_value, read_document
from hpo.given import check_given
from hpo.grammar.imported import IMPORTED
from hpo.problems import config_problems
from hpo.search import BudgetConfig, ConstraintsConfig, SearchConfig, spelled_out
from hpo.space import SECTIONS, SearchSpace
from lightning_modules.registry import suggest
from lightning_modules.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COMPARED = (
    "objective",
    "task.kind",
    "task.horizon",
    "task.loss.quantile",
    "data.source",
    "data.path",
    "data.name",
    "data.target",
    "data.text",
    "data.split",
    "data.split_seed",
    "data.group",
    "data.time",
    "data.validation",
    "data.test",
    "data.folds",
    "data.fold",
    "data.duplicates",
    "data.skip_unreadable",
)
"""What every trial of a study must have in common."""
LONGEST = 120
"""How much of an override is said back."""
_DEVICE_NAMES = {"con", "prn", "aux", "nul", "reference", "readme.md"}


class StudySettings(Settings):
    """The parts of a study file that are not the space."""

    name: str
    budget: BudgetConfig = Field(default_factory=lambda: BudgetConfig(trials=50))
    search: SearchConfig = SearchConfig()
    constraints: ConstraintsConfig = ConstraintsConfig()

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str) -> str:
        taken = name.lower() in _DEVICE_NAMES or name.lower().startswith("storage.sqlite")
        if not _NAME.fullmatch(name) or taken or name.endswith("."):
            raise ValueError(
                f"{name[:80]!r} cannot name a folder; 1 to 64 letters, digits, '.', '_' or '-', "
                "beginning with a letter or digit"
            )
        return name


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """One study, checked: its settings and its space."""

    settings: StudySettings
    space: SearchSpace

    @property
    def name(self) -> str:
        """The study's name, which is its folder's too."""
        return self.settings.name

    @property
    def budget(self) -> BudgetConfig:
        """When the study ends."""
        return self.settings.budget

    @property
    def search(self) -> SearchConfig:
        """How configs are proposed and stopped."""
        return self.settings.search

    @property
    def limits(self) -> dict[str, float]:
        """The most that a network may cost, by the name of what is measured."""
        return self.settings.constraints.limits

    def values(self) -> dict[str, Any]:
        """Return the study file as plain values, defaults of the study written out."""
        settings = self.settings.model_dump(mode="json")
        return {"name": self.name, **self.space.values, **_without_nones(settings)}

    def text(self) -> str:
        """Return the study file, resolved: `load_study` reads it back equal."""
        return dump_yaml(self.values())


def load_study(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), name: str | None = None
) -> StudySpec:
    """Read a study: a path, the name of a shipped file, or its values.

    Args:
        source: what to read.
        overrides: ``path=value`` each, the value in YAML.
        name: the study's name where the file gives none (default: the file's stem).

    Raises:
        UsageError: if the file cannot be read or an override has no ``=``.
        SpecError: if anything in it is wrong; it names every mistake.
    """
    if isinstance(source, Mapping):
        document = Document(name="study", values=dict(source))
    else:
        path = find_study_file(source)
        document = read_document(path)
        name = name or path.stem
    if "schema" in document.values and "config" in document.values:
        hint = "hpo train retrains it; hpo run takes a study file"
        raise UsageError(document.name, "is a record of one config", hint)
    for override in overrides:
        document = override_document(document, override)
    if name is not None and "name" not in document.values:
        document = replace(document, values={"name": name, **document.values})
    return check_document(document)


def check_document(document: Document) -> StudySpec:
    """Return the study of ``document``.

    Raises:
        SpecError: if anything in it is wrong; it names every mistake.
    """
    space = _space(document)
    sections = SECTIONS if space.imported is None else (IMPORTED,)
    settings = {key: value for key, value in document.values.items() if key not in sections}
    problems = list(space.problems)
    for loc, what, hint in config_problems(StudySettings, settings):
        if what == "unknown key" and len(loc) == 1:
            hint = suggest(loc[0], [*SECTIONS, *StudySettings.model_fields])
        problems.append(Problem(f"{document.where(loc)}: {'.'.join(loc)}", what, hint))
    if not problems and space.imported is not None:
        return StudySpec(settings=StudySettings.model_validate(settings), space=space)
    if not problems:
        checked = StudySettings.model_validate(settings)
        problems = _strategy_problems(checked, space, document)
    if problems:
        raise SpecError(problems)
    return StudySpec(settings=checked, space=space)


def _space(document: Document) -> SearchSpace:
    """Return the space of a study file.

    Raises:
        SpecError: if it says that it was imported, and is not as the import wrote it.
    """
    try:
        return SearchSpace(document)
    except ValidationError as error:
        wrong = [
            Problem(f"{document.name}: {'.'.join(map(str, one['loc']))}", one["msg"])
            for one in error.errors()
        ]
        raise SpecError(wrong) from None


def find_study_file(source: str | Path) -> Path:
    """Return the path of a study file: as given, or shipped under that name.

    Raises:
        UsageError: if there is neither.
    """
    path = Path(source)
    try:
        if path.exists():
            return path
    except OSError as error:
        raise UsageError(str(source), str(error.strerror), "check the path") from None
    shipped = shipped_studies()
    if str(source) in shipped:
        return shipped[str(source)]
    if path.suffix in (".yaml", ".yml", ".json"):
        raise UsageError(str(source), "no such file", f"shipped studies: {', '.join(shipped)}")
    raise UsageError(str(source), "no study file", f"{suggest(str(source), list(shipped))}")


def shipped_studies() -> dict[str, Path]:
    """Return the shipped study files by name."""
    with resources.as_file(resources.files("search_spaces")) as folder:
        return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def override_document(document: Document, override: str) -> Document:
    """Return ``document`` with one ``path=value`` applied.

    Below a ``one_of`` the path names the branch (``optimizer.sgd.lr``); the name of a branch as
    the value picks it (``model=cnn``).

    Raises:
        UsageError: if there is no ``=``, no path, or the path goes through a plain value.
    """
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    where = f"--set {override if len(override) <= LONGEST else override[:LONGEST] + '…'}"
    if not equals or not all(keys):
        raise UsageError(where, "is no PATH=VALUE", "--set trainer.max_epochs=5")
    try:
        value = parse_value(text)
    except UsageError as error:
        raise UsageError(where, error.what, error.hint) from None
    before = _with_search_spelled_out(document.values, keys)
    values = _set(before, keys, value, where)
    raw = _first_new(before, _raw(values, keys))
    kept = {place: at for place, at in document.origins.items() if place[: len(raw)] != raw}
    return replace(document, values=values, origins={**kept, raw: where})


def _with_search_spelled_out(values: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return ``values`` so that something can be set below the bare name of a sampler or pruner."""
    search = values.get("search")
    if keys[0] != "search" or len(keys) < 3 or not isinstance(search, Mapping):
        return values
    return {**values, "search": spelled_out(search)}


def _first_new(node: Any, raw: RawPath) -> RawPath:
    """Return ``raw`` up to the first key that is not below ``node`` yet."""
    for depth, key in enumerate(raw, 1):
        if not isinstance(node, Mapping):
            break
        if key not in node:
            return raw[:depth]
        node = node[key]
    return raw


def _raw(node: Any, keys: Sequence[str]) -> RawPath:
    """Return the keys of a dotted path as they stand in the file, ``one_of`` included."""
    if not keys or not isinstance(node, Mapping):
        return tuple(keys)
    if "one_of" in node:
        return ("one_of", *_raw(node["one_of"], keys))
    return (keys[0], *_raw(node.get(keys[0]), keys[1:]))


def _set(node: Any, keys: Sequence[str], value: Any, where: str) -> Any:
    if not keys:
        branches = node.get("one_of") if isinstance(node, Mapping) else None
        if isinstance(branches, Mapping) and isinstance(value, str):
            return _pick(branches, value, where)
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(node, list):
        if not key.isdigit() or int(key) >= len(node):
            raise UsageError(where, f"{key!r} is no index of a list of {len(node)}", "count from 0")
        return [
            _set(old, rest, value, where) if i == int(key) else old for i, old in enumerate(node)
        ]
    if node is not None and not isinstance(node, Mapping):
        raise UsageError(where, f"nothing lies below {node!r}", "set the value itself")
    node = dict(node or {})
    if "one_of" in node and isinstance(node["one_of"], Mapping):
        branches = node["one_of"]
        if key not in branches:
            raise UsageError(where, f"{key!r} is no branch here", suggest(key, dict(branches)))
        return {"one_of": {**branches, key: _set(branches[key], rest, value, where)}}
    if not rest and set(node) == {"choices"} and key != "choices":
        raise UsageError(where, "nothing lies below choices", "set the value itself")
    return {**node, key: _set(node.get(key), rest, value, where)}


def _pick(branches: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in branches:
        raise UsageError(where, f"{name!r} is no branch here", suggest(name, dict(branches)))
    if not isinstance(branches[name], Mapping | None):
        raise UsageError(where, f"branch {name!r} is no mapping of settings", f"{name}: {{}}")
    section = where.removeprefix("--set ").partition("=")[0].strip()
    tag = {"model": "family", "task": "kind", "data": "source"}.get(section, "name")
    return {tag: name, **(branches[name] or {})}


def _strategy_problems(
    settings: StudySettings, space: SearchSpace, document: Document
) -> list[Problem]:
    """Return what sampler and space cannot do together."""
    name = str(settings.search.sampler.model_dump()["name"])
    parameters = space.parameters()
    inside = tuple(f"{path}." for path in COMPARED)
    unfair = [
        one.name
        for one in parameters
        if one.name in ("data", *COMPARED) or one.name.startswith(inside)
    ]
    if unfair:
        hint = "decide it; other studies may have other values"
        what = "cannot be searched: trials could not be compared"
        return [Problem(space.where(path), what, hint) for path in unfair]
    if name == "gp" and any(parameter.branch for parameter in parameters):
        what = "gp does not model spaces with branches (one_of)"
        return [Problem(space.where("search.sampler"), what, "use tpe")]
    first = _first_problems(settings, space, document)
    if first:
        return first
    if not parameters:
        hint = "give at least one setting a range or choices, or use hpo train"
        return [Problem(document.name, "nothing to search", hint)]
    if name == "grid":
        try:
            space.grid()
        except ValueError as error:
            place, _, what = str(error).rpartition(": ")
            where = space.where(place or "search.sampler")
            return [Problem(where, what, "add choices or step, or use sampler: tpe")]
    return []


def _first_problems(
    settings: StudySettings, space: SearchSpace, document: Document
) -> list[Problem]:
    """Return what is wrong with the trials that are to come first."""
    found = []
    for index, params in enumerate(settings.search.first):
        where = document.where(("search", "first", str(index)))
        try:
            check_given(space, params)
        except SpecError as error:
            found += [
                Problem(f"{where}: search.first.{index}: {one.where}", one.what, one.hint)
                for one in error.problems
            ]
    return found


def _without_nones(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nones(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
