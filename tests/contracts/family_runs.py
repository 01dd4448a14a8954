"""Train every family on every task it serves, and print what came of it as JSON.

Run by test_family_runs.py, twice: what a run comes to must not depend on its process.
"""

import hashlib
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.arrays import give_arrays
from lightning_modules.families import FAMILIES
from lightning_modules.families.embedding import EMBEDDINGS
from lightning_modules.module import SupervisedModule
from lightning_modules.restore import outputs_of, restore, restore_folder, score
from lightning_modules.result import Command, Validation
from lightning_modules.settings import number_fields
from lightning_modules.task import TASKS
from lightning_modules.train import train
from lightning_modules.watch import Abandoned

N_ROWS = 48
SHAPES = {"features": (5,), "image": (1, 8, 8)}
SMALL = {"n_layers": 2, "n_stages": 2, "n_members": 3, "width": 8, "n_heads": 2, "growth": 1.0}


def models() -> list[dict[str, Any]]:
    """Return every family of ours, small; where it can embed features, once with each way."""
    found = []
    for name, family in FAMILIES.items():
        fields = family.config.model_fields
        small = {key: value for key, value in SMALL.items() if key in fields}
        small |= dict.fromkeys(number_fields(family.config), 0.2)
        embeddings = list(EMBEDDINGS) if "embedding" in fields else [None]
        for embedding in embeddings:
            chosen = {} if embedding is None else {"embedding": {"name": embedding}}
            found.append({"family": name, **small, **chosen})
    return found


def give(kind: str, shape: str) -> str:
    """Give made rows under a name, and return it."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(N_ROWS, *SHAPES[shape])).astype(np.float32)
    classes = np.arange(N_ROWS) % (3 if kind == "multiclass" else 2)
    y = generator.normal(size=N_ROWS) if kind == "regression" else classes
    give_arrays(f"{kind}-{shape}", x, y)
    return f"{kind}-{shape}"


class AbandonAt:
    """Have the run abandoned at its ``batch``-th batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def validated(self, validation: Validation) -> Command:
        """Let it go on."""
        return Command.CONTINUE

    def batch_ended(self) -> Command:
        """Count."""
        self.left -= 1
        return Command.ABANDON if self.left == 0 else Command.CONTINUE


def in_two_parts(config: RunConfig, data: RunData, folder: Path) -> SupervisedModule:
    """Train, be interrupted after the first batch, go on; return what came of it."""
    try:
        train(config, folder, data=data, report=AbandonAt(1))
    except Abandoned:
        train(config, folder, data=data)
        return read(config, data, folder)
    raise AssertionError("the run ended before it was interrupted")


def read(config: RunConfig, data: RunData, folder: Path) -> SupervisedModule:
    """Return the module with the weights that a run left."""
    module = restore(config, folder / "best.ckpt", data)
    assert isinstance(module, SupervisedModule)
    return module


def sha256(module: SupervisedModule) -> str:
    """Return the hash of all that a module has learned."""
    weights = b"".join(one.numpy().tobytes() for one in module.state_dict().values())
    return hashlib.sha256(weights).hexdigest()


def trial(model: dict[str, Any], kind: str, shape: str, *, again: bool) -> dict[str, Any]:
    """Train; say what weights and predictions came of it, here, read back, and interrupted."""
    config = RunConfig.model_validate(
        {
            "task": {"kind": kind},
            "data": {"source": "arrays", "name": f"{kind}-{shape}"},
            "model": model,
            "trainer": {"max_epochs": 2, "batch_size": 16, "accelerator": "cpu"},
        }
    )
    data = open_data(config)
    assert data.prepared is not None
    rows = data.prepared.validation.x
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "whole"
        value = train(config, folder, data=data).value
        measured = score(config, folder / "best.ckpt", split="validation", data=data).metrics
        module = read(config, data, folder)
        _, _, without_data = restore_folder(folder)
        parts = in_two_parts(config, data, Path(name) / "parts") if again else module
    predicted = outputs_of(module, rows)
    return {
        "case": f"{model['family']} {model.get('embedding', {}).get('name', '')} {kind} {shape}",
        "weights": sha256(module),
        "predicted": hashlib.sha256(predicted.numpy().tobytes()).hexdigest(),
        "recorded_is_measured": value == measured[config.objective.metric],
        "read_back_is_equal": torch.equal(predicted, outputs_of(without_data, rows)),
        "parts_are_equal": sha256(parts) == sha256(module),
        "finite": bool(predicted.isfinite().all()),
    }


def main() -> None:
    """Print a JSON list, one entry for each family, embedding, task and kind of data."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    first = sys.argv[1] == "0"
    torch.rand(int(sys.argv[1]))  # where the global generator stands must not matter
    for kind in TASKS:
        for shape in SHAPES:
            give(kind, shape)
    found = [
        trial(model, kind, shape, again=first and kind == "multiclass")
        for model in models()
        for shape in FAMILIES[model["family"]].takes
        for kind in TASKS
    ]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
