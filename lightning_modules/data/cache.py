"""Prepared data on disk: made once per preparation, mapped into the memory of every run."""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from lightning_modules.data.config import SOURCES, ImageCsvConfig, SourceConfig
from lightning_modules.data.fingerprint import fingerprint_json
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.image_csv import files_of
from lightning_modules.data.large import large_arrays_in
from lightning_modules.data.prepared import NEXT_STEPS, PreparedData, Rows, prepare_task
from lightning_modules.durable import replacing, write_text
from lightning_modules.settings import Settings
from lightning_modules.task import ForecastingConfig

_FORMAT = 2
"""Of the files; those of another are left alone."""


def prepare_cached(
    config: SourceConfig,
    *,
    task_kind: str,
    folder: Path,
    forecast: ForecastingConfig = NEXT_STEPS,
) -> PreparedData:
    """Return what `prepare_task` returns, from ``folder`` if it is there, else made and kept there.

    One process prepares, the others wait for it; all of them share the pages of one file.

    Args:
        config: the source, its splits and its preparation.
        task_kind: ``binary``, ``multiclass`` or ``regression``.
        folder: where prepared data are kept; it may be deleted at any time between runs.
        forecast: of a forecasting task, how far it looks back and ahead.

    Raises:
        DataError: as `prepare_task` does.
        TrialFailed: reason ``disk`` if there is no room.
    """
    plain = without_augment(config.model_dump(mode="json"))
    ahead = [forecast.window, forecast.horizon] if task_kind == "forecasting" else []
    key = fingerprint_json([_FORMAT, plain, task_kind, *ahead, stamp(config)])[:24]
    tensors, facts = folder / f"{key}.pt", folder / f"{key}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not facts.is_file():
            with large_arrays_in(folder):
                prepared = prepare_task(config, task_kind=task_kind, forecast=forecast)
            _write(prepared, tensors, facts)
    return _read(tensors, facts)


def without_augment(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain ``data`` section without what changes training batches alone."""
    return {key: value for key, value in data.items() if key != "augment"}


def stamp(config: Settings) -> list[Any]:
    """Return size and time of the files behind ``config``, so that a changed file is read again."""
    files: list[Path] = []
    for place in _places(config):
        files += sorted(place.rglob("*")) if place.is_dir() else [place]
    if isinstance(config, ImageCsvConfig):
        files += sorted(set(files_of(config)))
    if not files:
        return []
    stats = [(str(file), file.stat()) for file in files]
    return [os.getcwd(), *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _places(config: Settings) -> list[Path]:
    """Return the files and folders behind ``config``; a user's own source may name any."""
    plain = config.model_dump(mode="json")
    own = callable(SOURCES[plain["source"]].loader)
    named = [value for key, value in plain.items() if key == "path" or (own and key != "source")]
    places = [os.path.expanduser(value) for value in named if value and isinstance(value, str)]
    return [Path(place) for place in places if os.path.exists(place)]


def _write(data: PreparedData, tensors: Path, facts: Path) -> None:
    splits = {"train": data.train, "validation": data.validation}
    parts = {
        f"{split}.{axis}": getattr(rows, axis) for split, rows in splits.items() for axis in "xy"
    }
    # torch writes to our stream: by itself it has no word for a full disk.
    with replacing(tensors, sync=False) as temporary, temporary.open("wb") as stream:
        torch.save(parts, stream)
    known = {
        field.name: getattr(data, field.name)
        for field in fields(data)  # asdict would copy the tensors
        if field.name not in ("train", "validation", "test", "fitted")
    }
    text = json.dumps({**known, "fitted": data.fitted.model_dump(mode="json")})
    write_text(facts, text, sync=False)


def _read(tensors: Path, facts: Path) -> PreparedData:
    parts = torch.load(tensors, weights_only=True, mmap=True)  # noqa: TID251
    known = json.loads(facts.read_text(encoding="utf-8"))
    return PreparedData(
        **{
            **known,
            "input_shape": tuple(known["input_shape"]),
            "fitted": Fitted.model_validate(known["fitted"]),
            "train": Rows(x=parts["train.x"], y=parts["train.y"]),
            "validation": Rows(x=parts["validation.x"], y=parts["validation.y"]),
            "test": None,
        }
    )
