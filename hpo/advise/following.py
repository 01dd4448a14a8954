"""The next study file: this study's, changed as advised, and begun with its best configs."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.advise.counsel import Advice
from hpo.errors import EnvironmentFault, SpecError, UsageError
from hpo.files import dump_yaml
from hpo.given import check_given
from hpo.grammar.nodes import Scalar
from hpo.insight.study import Insight
from hpo.records import ranked
from hpo.spec import StudySpec, load_study

FIRST = 5
"""How many of the best configs the next study begins with."""
LONGEST_NAME = 64
_NUMBERED = re.compile(r"(.+)-(\d{1,6})")

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Following:
    """A study file that follows another."""

    name: str
    text: str
    changes: tuple[str, ...]
    """What is other than before, or was advised and could not be done; a line each."""

    def plain(self) -> Json:
        """Return the name and the changes, ready for JSON."""
        return {"name": self.name, "changes": list(self.changes)}


def next_study(insight: Insight, advice: Sequence[Advice], path: Path) -> Following:
    """Write the next study file, which must be new; it loads, or nothing is written.

    Raises:
        UsageError: if the file exists, its folder does not, or the study was imported.
        SpecError: if the study's own file does not load: its plugins are not named.
        EnvironmentFault: if the file cannot be written.
    """
    if path.exists():
        raise UsageError(str(path), "exists already", "name another file; nothing is overwritten")
    if not path.parent.is_dir():
        raise UsageError(str(path), f"there is no folder {path.parent}", "make it first")
    made = follow(insight, advice, path.name)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(made.text)
    except FileExistsError:
        raise UsageError(str(path), "exists already", "name another file") from None
    except OSError as error:
        hint = "name another place"
        raise EnvironmentFault(str(path), str(error.strerror), hint) from None
    return made


def follow(insight: Insight, advice: Sequence[Advice], file: str = "next.yaml") -> Following:
    """Return the next study file; see `next_study`."""
    material = insight.material
    if "imported" in material.values:
        hint = "write a study file of your own; hpo init begins one"
        raise UsageError(material.name, "was imported: it has no config to search", hint)
    values = copy.deepcopy(dict(material.values))
    load_study(values)
    changes: list[str] = []
    for one in advice:
        values = _applied(values, one, insight, changes)
    values["name"] = _name(material.name, material.folder.path.parent)
    search = dict(values.get("search") or {})
    search["seed"] = (int(search.get("seed", 0)) + 1) % 2**32
    search.pop("first", None)
    values["search"] = search
    spec = load_study(values)
    first = _first(insight, spec, changes)
    if first:
        values["search"] = {**search, "first": first}
    load_study(values)
    head = _head(material.name, file, changes)
    return Following(
        name=str(values["name"]), text=head + dump_yaml(values), changes=tuple(changes)
    )


def _applied(values: Json, one: Advice, insight: Insight, changes: list[str]) -> Json:
    """Return the values with one piece of advice followed, if they still load then."""
    changed = copy.deepcopy(values)
    if one.move is not None:
        name, side, bound = one.move
        node = _node(changed, name)
        if node is None:
            return values
        whole = isinstance(node.get(side), int)
        node[side] = int(bound) if whole else bound
    elif one.drop is not None:
        best = insight.material.best
        if best is None or not _decide(changed, one.drop, best.params[one.drop]):
            changes.append(f"not done: {one.what}; an entry of a list is not decided by itself")
            return values
    elif one.keep is not None:
        branches = (changed.get("model") or {}).get("one_of")
        if not branches:
            return values
        changed["model"]["one_of"] = {k: v for k, v in branches.items() if k in one.keep}
    elif one.settings:
        for path, value in one.settings.items():
            _set(changed, path.split("."), value)
    else:
        return values
    try:
        load_study(changed)
    except SpecError as error:
        changes.append(f"not done: {one.what}; {error.what}")
        return values
    changes.append(f"{one.what}: {one.because}")
    return changed


def _node(values: Json, name: str) -> Json | None:
    """Return the mapping of a range in a study file's values."""
    node: Any = values
    for key in name.split("."):
        node = _below(node, key)
        if node is None:
            return None
    return node if isinstance(node, dict) else None


def _below(node: Any, key: str) -> Any:
    """Return what lies below a key of a name, ``one_of`` and ``each`` passed through."""
    if not isinstance(node, dict):
        return None
    if "one_of" in node:
        return node["one_of"].get(key)
    if set(node) == {"length", "each"}:
        return node["each"] if key.isdigit() else node.get(key)
    return node.get(key)


def _decide(values: Json, name: str, value: Scalar) -> bool:
    """Put a value in the place of a parameter; return whether that can be."""
    *parents, last = name.split(".")
    node: Any = values
    for key in parents:
        node = _below(node, key)
    if not isinstance(node, dict) or last not in node or (last.isdigit() and "each" in node):
        return False
    node[last] = value
    return True


def _set(values: Json, keys: Sequence[str], value: Any) -> None:
    node = values
    for key in keys[:-1]:
        inner = node.get(key)
        node[key] = dict(inner) if isinstance(inner, Mapping) else {}
        node = node[key]
    node[keys[-1]] = value


def _first(insight: Insight, spec: StudySpec, changes: list[str]) -> list[dict[str, Scalar]]:
    """Return the parameters of the best trials, as far as they fit the next space."""
    material = insight.material
    if spec.search.sampler.model_dump()["name"] in ("grid", "qmc"):
        changes.append("not begun with the best configs: the sampler has points of its own")
        return []
    order = ranked([record for record in material.records if record.has_rank], material.direction)
    best = material.best
    if best is not None:
        order = [best, *(record for record in order if record.number != best.number)]
    found: list[dict[str, Scalar]] = []
    told: list[str] = []
    for record in order:
        kept, lost = _fitting(spec, record.params)
        if not kept or kept in found:
            continue
        found.append(kept)
        gone = f" without {', '.join(lost)}" if lost else ""
        told.append(f"{record.number}{gone}")
        if len(found) == FIRST:
            break
    if found:
        changes.append(f"begins with the best configs, those of trials {'; '.join(told)}")
    return found


def _fitting(spec: StudySpec, params: Mapping[str, Scalar]) -> tuple[dict[str, Scalar], list[str]]:
    """Return what of a trial's parameters fits a space, and the names of what was taken out.

    What the next study decides itself is no loss. A trial of a branch that is gone fits nowhere.
    """
    known = {parameter.name for parameter in spec.space.parameters()}
    kept = {name: value for name, value in params.items() if name in known}
    lost: list[str] = []
    unions = {name for one in spec.space.parameters() for name, _ in one.branch}
    while kept:
        try:
            return dict(check_given(spec.space, kept)), lost
        except SpecError as error:
            wrong = [one.where for one in error.problems if one.where in kept]
            if not wrong or any(name in unions for name in wrong):
                return {}, []
            for name in wrong:
                kept.pop(name, None)
                lost.append(name)
    return {}, []


def _name(name: str, results: Path) -> str:
    """Return the next free name: ``digits-2`` after ``digits``, ``digits-3`` after ``digits-2``."""
    match = _NUMBERED.fullmatch(name)
    stem, number = (match[1], int(match[2])) if match else (name, 1)
    while True:
        number += 1
        ending = f"-{number}"
        following = stem[: LONGEST_NAME - len(ending)].rstrip(".") + ending
        if not (results / following).exists():
            return following


def _head(name: str, file: str, changes: Sequence[str]) -> str:
    lines = [
        f"Follows {name}, by hpo advise {name} --write {file}.   hpo run {file}",
        "What is other than there, and why:",
        *(f"  - {change}" for change in changes),
        "  - another seed, so that the sampler's first draws are new ones",
        "search.first are parameters of trials that come right after the defaults: values that",
        "do not fit this space are left out, and drawn.",
    ]
    return "".join(f"# {_line(line)}\n" for line in lines)


def _line(text: str) -> str:
    """Return text that stays within a comment: one line, of signs that YAML takes."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
