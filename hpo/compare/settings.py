"""In what studies differ: the settings of their files, and the packages they ran with."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.compare.sides import Side
from hpo.grammar.nodes import RESERVED
from hpo.words import plain_value

ABSENT = "–"
_TAGS = ("family", "name")
"""The key that says which branch a section is of; one of them is a setting of ``data`` too."""
_OPEN = RESERVED - {"one_of"} | {"whole"}
"""The keys of a range, a list or choices; those of imported studies say what is whole."""
_OWN = ("name",)
"""What any two studies have for themselves."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting in which studies differ."""

    path: str
    values: Mapping[str, str]
    """What each study has, by its label; a dash where it has no such setting."""


def differing_settings(sides: Sequence[Side]) -> list[Setting]:
    """Return the settings of the study files that are not the same in all, in the files' order.

    A range or choice is one setting. What a file leaves out counts as what its trials had.
    """
    flats = [dict(_flat(side.settings)) for side in sides]
    known = dict.fromkeys(path for flat in flats for path in flat if path not in _OWN)
    sections = list(dict.fromkeys(path.partition(".")[0] for path in known))
    paths = sorted(known, key=lambda path: sections.index(path.partition(".")[0]))
    found = []
    for path in paths:
        values = [
            flat[path] if path in flat else _had(side, path)
            for side, flat in zip(sides, flats, strict=True)
        ]
        if any(value != values[0] for value in values):
            pairs = zip(sides, values, strict=True)
            found.append(Setting(path=path, values={s.label: _words(v) for s, v in pairs}))
    return found


def differing_packages(sides: Sequence[Side]) -> list[Setting]:
    """Return Python, machine and packages where the studies' environments differ."""
    tables = [machine(side) | dict(side.packages) for side in sides]
    names = dict.fromkeys(name for table in tables for name in table)
    found = []
    for name in names:
        values = [table.get(name, ABSENT) for table in tables]
        if len(set(values)) > 1:
            pairs = zip(sides, values, strict=True)
            found.append(Setting(path=name, values={side.label: value for side, value in pairs}))
    return found


def machine(side: Side) -> dict[str, str]:
    """Return on what the best config of a study was trained."""
    known: Mapping[str, Any] = dict(side.best.environment) if side.best else {}
    names = ("python", "platform", "cpu", "device", "threads")
    return {name: str(known[name]) for name in names if known.get(name) is not None}


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted paths and values; branches stand below their section: ``model.cnn.width``."""
    if not isinstance(node, Mapping) or _is_open(node):
        yield path, node
        return
    if not node:
        return
    if set(node) == {"one_of"} and isinstance(node["one_of"], Mapping):
        yield path, {"one_of": list(node["one_of"])}
        for name, branch in node["one_of"].items():
            yield from _flat(branch or {}, f"{path}.{name}")
        return
    tags = _TAGS if path not in ("", "data") else ()
    tag = next((tag for tag in tags if isinstance(node.get(tag), str)), None)
    if tag is not None:
        yield path, node[tag]
    for key, value in node.items():
        if key != tag:
            place = path if tag is None else f"{path}.{node[tag]}"
            yield from _flat(value, f"{place}.{key}".lstrip("."))


def _is_open(node: Mapping[str, Any]) -> bool:
    return bool(node) and set(node) <= _OPEN


def _had(side: Side, path: str) -> Any:
    """Return what all trials of a study had for a setting that its file leaves out, else None."""
    found = {
        json.dumps(value, sort_keys=True): value
        for record in side.records
        for value in _walk(record.config, path.split("."))
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _walk(node: Any, keys: Sequence[str]) -> list[Any]:
    """Return the value at a path, as a list of one; empty if the config has no such branch."""
    if not keys:
        if isinstance(node, Mapping):
            return [node[tag] for tag in _TAGS if isinstance(node.get(tag), str)][:1]
        return [node]
    if not isinstance(node, Mapping):
        return []
    key, rest = keys[0], keys[1:]
    if key in node:
        return _walk(node[key], rest)
    return _walk(node, rest) if any(node.get(tag) == key for tag in _TAGS) else []


def _words(value: Any) -> str:
    """Return a value, a range, or choices as they are read.

    >>> _words({"low": 1e-5, "high": 0.1, "log": True}), _words({"choices": [32, 64]})
    ('1e-05 to 0.1, log', '32 or 64')
    """
    if value is None:
        return ABSENT
    if isinstance(value, Mapping):
        return _open_words(value)
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else plain_value(value)


def _open_words(node: Mapping[str, Any]) -> str:
    if "one_of" in node:
        return " or ".join(map(str, node["one_of"]))
    if "choices" in node:
        return " or ".join(map(_words, node["choices"]))
    if "each" in node:
        return f"{_words(node.get('length'))} of {_words(node['each'])}"
    ends = [_words(node.get(key)) for key in ("low", "high")]
    step = f", step {_words(node['step'])}" if node.get("step") is not None else ""
    return f"{ends[0]} to {ends[1]}{', log' if node.get('log') else ''}{step}"
