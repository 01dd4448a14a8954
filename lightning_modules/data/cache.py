"""Prepared data on disk: made once per preparation, mapped into the memory of every run."""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lightning_modules.data.config import SourceConfig
from lightning_modules.data.fingerprint import fingerprint_json
from lightning_modules.data.prepared import Fitted, PreparedData, Rows, prepare_task
from lightning_modules.durable import replacing, write_text
from lightning_modules.settings import Settings


def prepare_cached(config: SourceConfig, *, task_kind: str, folder: Path) -> PreparedData:
    """Return what `prepare_task` returns, from ``folder`` if it is there, else made and kept there.

    One process prepares, the others wait for it; all of them share the pages of one file.

    Args:
        config: the source, its splits and its preparation.
        task_kind: ``binary``, ``multiclass`` or ``regression``.
        folder: where prepared data are kept; it may be deleted at any time between runs.

    Raises:
        DataError: as `prepare_task` does.
        TrialFailed: reason ``disk`` if there is no room.
    """
    key = fingerprint_json([config.model_dump(mode="json"), task_kind, stamp(config)])[:24]
    tensors, facts = folder / f"{key}.pt", folder / f"{key}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not facts.is_file():
            _write(prepare_task(config, task_kind=task_kind), tensors, facts)
    return _read(tensors, facts)


def stamp(config: Settings) -> list[Any]:
    """Return size and time of the files behind ``config``, so that a changed file is read again."""
    path = getattr(config, "path", None)
    if not isinstance(path, str) or not Path(path).exists():
        return []
    files = sorted(Path(path).rglob("*")) if Path(path).is_dir() else [Path(path)]
    stats = [(str(file), file.stat()) for file in files]
    return [os.getcwd(), *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _write(data: PreparedData, tensors: Path, facts: Path) -> None:
    splits = {"train": data.train, "validation": data.validation}
    parts = {
        f"{split}.{axis}": getattr(rows, axis) for split, rows in splits.items() for axis in "xy"
    }
    # torch writes to our stream: by itself it has no word for a full disk.
    with replacing(tensors, sync=False) as temporary, temporary.open("wb") as stream:
        torch.save(parts, stream)
    known = {
        key: value
        for key, value in asdict(data).items()
        if key not in ("train", "validation", "test", "fitted")
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
