"""Make a study's folder, or check that a folder was made with the same study."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.environment import freeze
from hpo.errors import HpoError, RefusedError
from hpo.files import read_document, write_json, write_text
from hpo.grammar.nodes import RESERVED
from hpo.layout import StudyFolder
from hpo.records import hash_changes, now_utc
from hpo.spec import StudySpec, load_study
from lightning_modules.data.config import SOURCES
from lightning_modules.durable import file_sha256
from lightning_modules.plugins import loaded_plugins

FREE = (
    "name",
    "budget",
    "search.retries",
    "search.keep_checkpoints",
    "search.trial_",
    "search.min_",
)
"""What may differ on resume: dotted paths of the study file."""

PLACE = "data.path"
"""Where the data lie; on another machine elsewhere. Whether they are the same, their hash says."""


def create_folder(folder: StudyFolder, spec: StudySpec, data: Mapping[str, str | None]) -> None:
    """Fill the folder: study file last, since its presence means that the study exists."""
    write_text(folder.environment, freeze())
    write_json(
        folder.fingerprint,
        {
            "schema": "hpo.fingerprint/1",
            "uuid": str(uuid.uuid4()),
            "space_sha256": spec.space.sha256(),
            **data,
            "plugins": _plugin_hashes(),
            "files": _file_hashes(spec),
            "changes": [],
            "created_utc": now_utc(),
        },
    )
    write_text(folder.study_file, spec.text())


def settings_differ(folder: StudyFolder, spec: StudySpec) -> list[str]:
    """Return the settings in which ``spec`` differs from the study of the folder.

    The place of the data is none of them where their hash is known: `data_differ` looks at that.
    """
    found = differences(_settings(folder), spec.values())
    if _stored(folder).get("data_sha256") is None:
        return found
    return [line for line in found if not line.startswith(f"{PLACE}: ")]


def _settings(folder: StudyFolder) -> Mapping[str, Any]:
    try:
        return load_study(folder.study_file).values()
    except HpoError:  # written by another version, or for plugins that are not loaded
        return read_document(folder.study_file).values


def data_differ(folder: StudyFolder, data: Mapping[str, str | None]) -> list[str]:
    """Return the hashes in which ``data`` differ from those of the folder."""
    return hash_changes(_stored(folder), data)


def refuse(folder: StudyFolder, found: Sequence[str]) -> None:
    """Refuse to go on with another study than the folder was made with.

    Raises:
        RefusedError: if anything was found, with the difference.
    """
    if found:
        what = "was made with other settings:\n  " + "\n  ".join(found)
        hint = "--name NEW starts another study, --allow-change goes on"
        raise RefusedError(folder.name, what, hint)


def record_changes(
    folder: StudyFolder, spec: StudySpec, data: Mapping[str, str | None], found: Sequence[str]
) -> list[str]:
    """Record changes that were allowed, and those of the user's own code and of files it reads.

    Returns what was recorded, for the user to know.
    """
    stored, plugins, files = _stored(folder), _plugin_hashes(), _file_hashes(spec)
    known, before = stored["plugins"].values(), stored.get("files", files)
    names = [name for name, digest in plugins.items() if digest not in known]
    other = [name for name, digest in files.items() if before.get(name, digest) != digest]
    changed = [*found, *(f"plugin {name}: its code" for name in names)]
    changed += [f"file {name}: its content" for name in other]
    same = stored.get("data_sha256") == data.get("data_sha256") is not None
    moved = same and _place(_settings(folder)) != _place(spec.values())
    if not changed and not moved:
        return []
    what = [*changed, *[f"{PLACE}: another place; the data are the same"] * moved]
    changes = [*stored["changes"], {"utc": now_utc(), "what": what}]
    hashes = {"space_sha256": spec.space.sha256(), **data}
    own = {"plugins": plugins, "files": files}
    write_json(folder.fingerprint, {**stored, **hashes, **own, "changes": changes})
    write_text(folder.study_file, spec.text())
    return changed


def _place(settings: Mapping[str, Any]) -> Any:
    return (settings.get("data") or {}).get("path")


def _stored(folder: StudyFolder) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(folder.fingerprint.read_text(encoding="utf-8"))
    return stored


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one line per setting that differs, less what may: ``path: old → new``."""
    before, after = _flat(old), _flat(new)
    paths = [path for path in {**before, **after} if not path.startswith(FREE)]
    return [
        f"{path}: {_short(before.get(path))} → {_short(after.get(path))}"
        for path in paths
        if before.get(path) != after.get(path)
    ]


def time_used(folder: StudyFolder) -> float:
    """Return the wall-clock seconds that earlier calls of the study used."""
    return float(_progress(folder).get("wall_seconds", 0.0))


def trials_told(folder: StudyFolder) -> int:
    """Return how many trials had ended, and the storage been told so, when progress was saved."""
    return int(_progress(folder).get("ended", 0))


def _progress(folder: StudyFolder) -> dict[str, Any]:
    if not folder.progress.exists():
        return {}
    progress: dict[str, Any] = json.loads(folder.progress.read_text(encoding="utf-8"))
    return progress


def _flat(values: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping) or not values or set(values) <= RESERVED - {"one_of"}:
        return {path: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{path}.{key}".lstrip("."))
    return flat


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:12] + "…"


def _plugin_hashes() -> dict[str, str | None]:
    return {plugin.name: plugin.sha256 for plugin in loaded_plugins()}


def _file_hashes(spec: StudySpec) -> dict[str, str]:
    """Return the hashes of files that the user's own modules are given, such as a backbone."""
    named: set[str] = set()
    for config in spec.space.corners():
        own = [config.model] if config.whole else []
        own += [config.data] if SOURCES[config.source].datamodule is not None else []
        values = [value for section in own for value in section.model_dump().values()]
        named |= {value for value in values if isinstance(value, str) and os.path.isfile(value)}
    return {name: file_sha256(Path(name)) for name in sorted(named)}
