"""Read YAML 1.2 and JSON with the line of every key; write files so that no reader sees half."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from hpo.errors import UsageError
from hpo.room import patiently
from lightning_modules.durable import renamed, sync_path

LARGEST_BYTES = 1_000_000
MOST_VALUES = 20_000
DEEPEST = 100
_UNQUOTED = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")

RawPath = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """The values of a file, and where each of them comes from: ``file:line``, or an override."""

    name: str
    values: dict[str, Any]
    origins: Mapping[RawPath, str] = field(default_factory=dict)

    def where(self, path: RawPath) -> str:
        """Return the origin of ``path``, or of the nearest parent that has one."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return self.name


def read_document(path: Path) -> Document:
    """Read a YAML 1.2 or JSON file whose top level is a mapping.

    Raises:
        UsageError: if the file is missing, too large, no text, no YAML, has a key twice or a
            tag, holds too many values once its aliases are followed, or is no mapping.
    """
    name = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise UsageError(name, "is too large", f"at most {LARGEST_BYTES:,} bytes are read")
        text = data.decode("utf-8-sig")
    except IsADirectoryError:
        raise UsageError(name, "is a folder", "name a YAML or JSON file") from None
    except FileNotFoundError:
        raise UsageError(name, "no such file", "check the path") from None
    except UnicodeDecodeError as error:
        raise UsageError(name, f"not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except OSError as error:
        raise UsageError(name, str(error.strerror), "check the path") from None
    except ValueError:  # a NUL in it
        raise UsageError(repr(name), "is no path", "check the path") from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """Parse YAML 1.2 or JSON ``text``; see `read_document`."""
    try:
        _look_over(text, name)
        node = YAML(typ="safe", pure=True).compose(text)
        origins = {path: f"{name}:{line}" for path, line in _lines(node, (), [0])}
        values = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        what = " ".join(str(error.problem or error.context).split())
        raise UsageError(where, what, "correct the YAML") from None
    except (YAMLError, ValueError) as error:
        what = str(error).splitlines()[0] if str(error) else "not YAML"
        raise UsageError(name, what, "correct the YAML") from None
    except _TooManyError:
        what = f"more than {MOST_VALUES:,} values"
        raise UsageError(name, what, "an alias counts each time") from None
    except RecursionError:
        raise UsageError(name, "nested too deeply", "flatten it") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UsageError(name, "is not a mapping of names", "write 'key: value' lines")
    return Document(name=name, values=values, origins=origins)


class _TooManyError(Exception):
    pass


def _look_over(text: str, name: str) -> None:
    """Refuse tags, YAML 1.1, half characters, depth and size before anything is built of it."""
    depth = 0
    for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError
        if count > 3 * MOST_VALUES:  # a value is at most a key, a beginning and an end
            raise _TooManyError
        where = f"{name}:{event.start_mark.line + 1}"
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise UsageError(where, f"has the tag {tag}", "write plain values, no tags")
        text_of = event.value if isinstance(event, ScalarEvent) else ""
        if any("\ud800" <= letter <= "\udfff" for letter in text_of):
            raise UsageError(where, "holds half a character", "save it as UTF-8, without \\u pairs")
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise UsageError(where, "asks for another YAML than 1.2", "remove the %YAML line")


def _lines(node: Node | None, path: RawPath, count: list[int]) -> Iterator[tuple[RawPath, int]]:
    """Yield the line of every value below ``node``, following aliases, up to MOST_VALUES."""
    count[0] += 1
    if count[0] > MOST_VALUES:
        raise _TooManyError
    if isinstance(node, MappingNode):
        for key, value in node.value:
            place = (*path, str(key.value))
            yield place, key.start_mark.line + 1
            yield from _lines(value, place, count)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            place = (*path, str(index))
            yield place, value.start_mark.line + 1
            yield from _lines(value, place, count)


def parse_value(text: str) -> Any:
    """Read the right-hand side of ``--set path=value`` as YAML.

    >>> parse_value("1e-3"), parse_value("no"), parse_value("{low: 1, high: 4}")
    (0.001, 'no', {'low': 1, 'high': 4})
    """
    return parse_document(f"value: {text}", "--set").values["value"]


class _Quoting(SafeRepresenter):
    """Quote every text but plain names: ruamel writes some (``?x``) that it cannot read."""


def _text(representer: SafeRepresenter, text: str) -> Any:
    style = None if _UNQUOTED.fullmatch(text) else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Quoting.add_representer(str, _text)


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Return ``values`` as YAML 1.2 that `read_document` reads back equal."""
    from io import StringIO

    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Quoting
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 100
    stream = StringIO()
    yaml.dump(dict(values), stream)
    return stream.getvalue()


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write ``path`` by rename: a reader, or a crash, sees the old file or the whole new one.

    Args:
        path: what is replaced.
        text: its content.
        sync: whether it outlives a loss of power at once; it costs two waits for the disk.

    Raises:
        NoRoom: if the disk stays full; ``path`` is as it was.
    """
    patiently(lambda: _replace(path, text, sync=sync), str(path))


def write_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write ``path`` by rename; see `write_text`.

    Raises:
        NoRoom: if the disk stays full; ``path`` is as it was.
    """
    patiently(lambda: _replace(path, content, sync=sync), str(path))


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if there is none.

    Raises:
        NoRoom: if the disk stays full.
    """
    patiently(lambda: path.mkdir(parents=True, exist_ok=True), str(path))


def _replace(path: Path, content: str | bytes, *, sync: bool) -> None:
    with renamed(path, sync=sync) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    if sync:
        sync_path(path.parent)


def dump_json(value: Any) -> str:
    """Return strict JSON (no NaN, no infinity), indented, ending in a newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write ``value`` as strict JSON by rename; see `write_text`."""
    write_text(path, dump_json(value), sync=sync)
