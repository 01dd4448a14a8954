"""The real Fashion-MNIST, where Debian's dataset-fashion-mnist is installed."""

from pathlib import Path

import pytest

from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.restore import score
from lightning_modules.train import train

FOLDER = Path("/usr/share/datasets/fashion-mnist")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs dataset-fashion-mnist")


def test_a_small_cnn_learns_fashion_mnist_and_is_measured_on_its_official_test_split(
    tmp_path: Path,
) -> None:
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "idx", "path": str(FOLDER), "validation": 0.95},
            "model": {"family": "cnn", "n_layers": 2, "width": 8, "head": "flat"},
            "optimizer": {"name": "adamw", "lr": 3e-3},
            "trainer": {"max_epochs": 1, "accelerator": "cpu"},
        }
    )
    data = open_data(config, with_test=True)
    assert data.prepared is not None
    assert data.prepared.n_rows == {"train": 3000, "validation": 57000, "test": 10000}
    train(config, tmp_path, data=data)
    scored = score(config, tmp_path / "best.ckpt", split="test", data=data)
    assert scored.metrics["accuracy"] > 0.7  # 0.798 measured; chance is 0.1
