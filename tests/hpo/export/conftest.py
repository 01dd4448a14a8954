"""A trained run on a table with everything that columns can be."""

from pathlib import Path

import numpy as np
import pytest

from lightning_modules.config import RunConfig
from lightning_modules.train import train
from tests.contracts.exported import table


@pytest.fixture(scope="session")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run's folder; its data are ``data.csv`` beside it. Look, do not touch."""
    folder = tmp_path_factory.mktemp("patients")
    frame = table(120).drop(columns="same")
    frame["out|come"] = np.where(frame["width"] > 3, "yes", "<no>")
    frame.rename(columns={"town": "the `town`"}).to_csv(folder / "data.csv", index=False)
    config = {
        "task": {"kind": "binary"},
        "data": {"source": "csv", "path": str(folder / "data.csv"), "target": "out|come"},
        "model": {"family": "mlp", "n_layers": 1, "width": 8},
        "trainer": {"max_epochs": 2, "batch_size": 32, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(config), folder / "run")
    return folder / "run"
