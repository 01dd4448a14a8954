"""What a ``.pt2`` file may hold before torch opens it: tensors and their operations, no code.

torch takes objects, names of functions and expressions out of such a file and runs them. A file
of ours needs none of that; whatever else stands in one is refused. Two readers of archives may find
different things in the same bytes, so torch gets an archive that is written anew, of what was
looked at.
"""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from hpo.errors import UsageError
from hpo.ship.manifest import MANIFEST

_FILES = re.compile(
    r"[\w.-]+/(data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/" + re.escape(MANIFEST) + r"|archive_"
    r"(format|version)|\.data/(version|serialization_id)|byteorder)"
)
_TENSOR = re.compile(r"(weight|tensor)_\d+")
_OPERATION = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+"
    r"|_operator\.(add|sub|mul|neg|floordiv|mod|eq|ne|lt|le|gt|ge|getitem)"
    r"|torch\.sym_(max|min|ite|not)"
)
_SYMBOL = re.compile(r"Symbol\('[a-z]+\d+'(, [a-z]+=True)*\)")
_EXPRESSION = re.compile(
    r"((Add|Mul|Pow|Integer|Mod|PythonMod|FloorDiv|CleanDiv|Max|Min|Eq|Ne|Lt|Le|Gt|Ge"
    r"|LessThan|StrictLessThan|GreaterThan|StrictGreaterThan|Equality|Unequality|true|false)\b"
    r"|[\d ,()+*/-])*"
)
_SIZE = r"L\['raw'\]\['\w+'\]\.size\(\)\[\d+\]"
_GUARD = re.compile(rf"{_SIZE} (==|>=|<=|!=) ({_SIZE}|\d+)")
_TREES = frozenset({"builtins.tuple", "builtins.list", "builtins.dict"})
_OBJECTS = frozenset({"as_custom_obj", "as_script_object", "as_opaque_obj"})
_LARGEST_JSON = 200_000_000
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    OSError,
    EOFError,
    RuntimeError,  # of an entry that is encrypted
)


def checked_pt2(content: bytes, where: str) -> io.BytesIO:
    """Return an archive in which torch finds nothing but tensors and their operations.

    Args:
        content: the bytes of a file.
        where: begins the error.

    Raises:
        UsageError: if it is no such file, or holds something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            wrong = next(_foreign(archive), None)
            if wrong is None:
                return _written_anew(archive)
    except RecursionError:
        wrong = "it is nested too deeply"
    except _DAMAGED:
        wrong = "what stands in it cannot be read"
    hint = "open only files that you, or somebody whom you trust, wrote with hpo export"
    raise UsageError(where, f"is no .pt2 file of hpo's: {wrong}", hint)


def _written_anew(archive: zipfile.ZipFile) -> io.BytesIO:
    """Return an archive of the same entries, which every reader understands alike."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name in archive.namelist():
            new.writestr(name, archive.read(name))
    out.seek(0)
    return out


def _foreign(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield what has no place in the archive."""
    if len(set(archive.namelist())) < len(archive.namelist()):
        yield "an entry stands in it twice"
    for entry in archive.infolist():
        if not _FILES.fullmatch(entry.filename):
            yield f"it holds {entry.filename[:80]!r}"
        is_example = entry.filename.endswith("/model.pt")
        if entry.compress_type != zipfile.ZIP_STORED:
            yield f"{entry.filename[:80]!r} is compressed"
        if is_example and entry.file_size:
            yield "it holds example rows, which are stored as objects"
        if entry.filename.endswith(".json") and entry.file_size > _LARGEST_JSON:
            yield f"{entry.filename[:80]!r} is too large"
    for name in archive.namelist():
        if name.endswith("_config.json"):
            yield from _stored_otherwise(json.loads(archive.read(name)))
        elif name.endswith("/models/model.json"):
            yield from _foreign_steps(json.loads(archive.read(name)), "")


def _stored_otherwise(config: dict[str, Any]) -> Iterator[str]:
    """Yield weights that are stored as objects."""
    for name, entry in config["config"].items():
        if entry["use_pickle"] is not False or not _TENSOR.fullmatch(entry["path_name"]):
            yield f"{name[:80]!r} is stored as an object"


def _foreign_steps(value: Any, key: str) -> Iterator[str]:
    """Yield steps of a program that are no operation on tensors."""
    if key in _OBJECTS:
        yield "it holds an object of code"
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _foreign_steps(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _foreign_steps(item, key)
    elif isinstance(value, str) and not _allowed(value, key):
        yield f"it computes {value[:80]!r}"


def _allowed(text: str, key: str) -> bool:
    """Say whether torch may look at a text of the program; most of them are only names."""
    if key in ("target", "as_operator"):
        return _OPERATION.fullmatch(text) is not None
    if key == "expr_str":
        return _EXPRESSION.fullmatch(_SYMBOL.sub("0", text)) is not None
    if key == "guards_code":
        return _GUARD.fullmatch(text) is not None
    if key in ("in_spec", "out_spec"):
        return _plain_tree(json.loads(text)[1])
    return True


def _plain_tree(tree: Any) -> bool:
    """Say whether a tree of arguments is tuples, lists and dictionaries only."""
    if tree["type"] is None:
        return tree["context"] is None and not tree["children_spec"]
    return (
        tree["type"] in _TREES
        and "__enum__" not in str(tree["context"])
        and all(_plain_tree(child) for child in tree["children_spec"])
    )
