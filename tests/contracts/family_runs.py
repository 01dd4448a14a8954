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
from lightning_modules.train import train
from lightning_modules.watch import Abandoned
from tests.contracts.inputs import N_OUTPUTS, SHAPES, kinds_of, tasks_of

N_ROWS = 48
N_STEPS = 40
"""Of a series to forecast."""
NO_EMBEDDING = {"name": "none"}
WORDS = ("one", "two", "three", "four", "five")
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


def give(kind: str, inputs: str) -> None:
    """Give made rows under the name of both."""
    generator = np.random.default_rng(0)
    name, n_outputs = f"{kind}-{inputs}", N_OUTPUTS.get(kind, 1)
    if kind == "forecasting":
        give_arrays(name, generator.normal(size=(N_STEPS, 2)), generator.normal(size=N_STEPS))
        return
    y: Any = np.arange(N_ROWS) % max(n_outputs, 2)
    if kind == "regression":
        y = generator.normal(size=N_ROWS)
    elif kind == "multilabel":
        y = generator.integers(2, size=(N_ROWS, n_outputs))
    give_arrays(name, rows_of(inputs, generator), y)


def rows_of(inputs: str, generator: np.random.Generator) -> Any:
    """Return made rows; sequences and texts are of different lengths."""
    if inputs in ("features", "image"):
        shape = {"features": (5,), "image": (1, 8, 8)}[inputs]
        return generator.normal(size=(N_ROWS, *shape)).astype(np.float32)
    lengths = generator.integers(1, 7, size=N_ROWS)
    if inputs == "sequence":
        return [generator.normal(size=(length, 2)).astype(np.float32) for length in lengths]
    return np.array([" ".join(generator.choice(WORDS, size=length)) for length in lengths])


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


def trial(model: dict[str, Any], kind: str, inputs: str, *, again: bool) -> dict[str, Any]:
    """Train; say what weights and predictions came of it, here, read back, and interrupted."""
    config = RunConfig.model_validate(
        {
            "task": {"kind": kind} | ({"window": 5, "horizon": 2} if kind == "forecasting" else {}),
            "data": {"source": "arrays", "name": f"{kind}-{inputs}"},
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
        "case": f"{model['family']} {model.get('embedding', {}).get('name', '')} {kind} {inputs}",
        "weights": sha256(module),
        "predicted": hashlib.sha256(predicted.numpy().tobytes()).hexdigest(),
        "recorded_is_measured": value == measured[config.objective.metric],
        "read_back_is_equal": torch.equal(predicted, outputs_of(without_data, rows)),
        "parts_are_equal": sha256(parts) == sha256(module),
        "finite": bool(predicted.isfinite().all()),
    }


def main() -> None:
    """Print a JSON list, one entry for each family, task and kind of data.

    Embeddings are tried on tables. Where the argument is not 0, there is one task alone.
    """
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    first = sys.argv[1] == "0"
    torch.rand(int(sys.argv[1]))  # where the global generator stands must not matter
    for inputs in SHAPES:
        for kind in tasks_of(inputs):
            give(kind, inputs)
    found = [
        trial(model, kind, inputs, again=first and kind == "multiclass")
        for model in models()
        for inputs in kinds_of(model["family"])
        if inputs == "features" or model.get("embedding", NO_EMBEDDING) == NO_EMBEDDING
        for kind in tasks_of(inputs)
        if first or kind == "multiclass"
    ]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
