"""A tiny run for tests of checkpoints: what it leaves, and whether it is the same to the bit."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.result import TIMED, Command, RunResult, Validation

CONFIG = RunConfig.model_validate(
    {
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "mlp", "n_layers": 1, "width": 8, "norm": "batch", "dropout": 0.5},
        "schedule": {"name": "cosine"},
        "trainer": {"max_epochs": 3, "batch_size": 64, "accelerator": "cpu"},
    }
)
BATCHES = 6
"""Of the whole run: two an epoch."""


class ProcessEndedError(Exception):
    """Stands for whatever ends a process without a word."""


class Counting:
    """Count batches; call ``then`` after the ``at``-th; answer ``answers`` to the validations."""

    def __init__(
        self,
        *,
        at: int = 0,
        then: Callable[[], Command] = lambda: Command.ABANDON,
        answers: tuple[Command | None, ...] = (),
    ) -> None:
        self.at, self.then, self.answers = at, then, answers
        self.batches = self.validations = 0

    def batch_ended(self) -> Command:
        self.batches += 1
        return self.then() if self.batches == self.at else Command.CONTINUE

    def validated(self, validation: Validation) -> Command:
        self.validations += 1
        if self.validations > len(self.answers):
            return Command.CONTINUE
        answer = self.answers[self.validations - 1]
        if answer is None:
            raise ProcessEndedError
        return answer


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_checkpoint(folder / "best.ckpt")["state_dict"]
    return state


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k not in TIMED} for row in rows]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def listed(folder: Path) -> list[dict[str, Any]]:
    """Return what the manifest names, if there is one: it is always whole."""
    path = folder / "last.json"
    found: list[dict[str, Any]] = (
        json.loads(path.read_text())["checkpoints"] if path.exists() else []
    )
    return found


def sound(folder: Path, saved: dict[str, Any]) -> bool:
    content = (folder / saved["file"]).read_bytes()
    return bool(hashlib.sha256(content).hexdigest() == saved["sha256"])


def assert_same(folder: Path, result: RunResult, whole: tuple[Path, RunResult]) -> None:
    """Assert that a run is, bit for bit, the one that was never stopped, and left nothing else."""
    expected = whole[0], whole[1]
    one, other = weights(folder), weights(expected[0])
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert curve(folder) == curve(expected[0])
    assert (result.value, result.steps) == (expected[1].value, expected[1].steps)
    digest = hashlib.sha256((folder / "best.ckpt").read_bytes()).hexdigest()
    assert result.checkpoint.sha256 == digest
    assert names(folder) == names(expected[0])
