"""What the modules of the examples promise, beyond that they train."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.plugins import load_plugin
from lightning_modules.train import train

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
pytestmark = pytest.mark.usefixtures("registries")


@pytest.fixture
def load():
    """Return a function that imports a file of the examples."""

    def load(name: str):
        before = set(sys.modules)
        load_plugin(str(EXAMPLES / name))
        (new,) = {one for one in set(sys.modules) - before if one.startswith("hpo_plugin_")}
        return sys.modules[new]

    return load


def test_frozen_blocks_stay_what_the_backbone_had(load, tmp_path: Path) -> None:
    own = load("fine_tuning/fine_tuning.py")

    def blocks(name: str, half: str, **model: object) -> dict[str, torch.Tensor]:
        config = {
            "data": {"source": "Half", "half": half, "n_labels": 20},
            "model": {"family": "Classifier", "width": 4, **model},
            "objective": {"metric": "val_acc", "direction": "maximize"},
            "trainer": {"max_epochs": 1, "accelerator": "cpu"},
        }
        train(RunConfig.model_validate(config), tmp_path / name)
        state = load_checkpoint(tmp_path / name / "best.ckpt")["state_dict"]
        return {key: value for key, value in state.items() if key.startswith("blocks.")}

    backbone = blocks("one", "first")
    tuned = blocks("two", "second", backbone=str(tmp_path / "one" / "best.ckpt"), frozen=2)
    changed = {name[: len("blocks.0")] for name in tuned if not tuned[name].equal(backbone[name])}
    assert changed == {"blocks.2"}
    optimizer = own.Classifier(decay=0.5, lr=0.08).configure_optimizers()
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == pytest.approx([0.08, 0.04, 0.02, 0.01])


def test_odd_rows_have_usual_values_in_an_unusual_combination(load) -> None:
    data = load("anomalies/autoencoder.py").Sensors()
    data.setup("fit")
    normal = data.train.tensors[0].numpy()
    x, is_odd = (part.numpy() for part in data.judged["val"].tensors)
    assert np.abs(x[is_odd == 1]).max() < np.abs(normal).max() * 1.5
    pca = PCA(6).fit(normal)
    errors = np.square(pca.inverse_transform(pca.transform(x)) - x).mean(axis=1)
    assert roc_auc_score(is_odd, errors) > 0.8


def test_a_network_of_characters_sees_nothing_of_what_comes(load) -> None:
    own = load("text_generation/characters.py")
    network = own.Transformer(width=8, n_heads=2).eval()
    tokens = torch.tensor([own.encode("the fox sleeps.")])
    other = tokens.clone()
    other[0, -1] = 0
    with torch.inference_mode():
        assert network(tokens)[0, :-1].equal(network(other)[0, :-1])
    assert network.write("a king", 9, temperature=1.0, seed=0).startswith("a king")


def test_a_spectrogram_shows_how_the_pitch_moves(load) -> None:
    pytest.importorskip("soundfile")
    own = load("audio/audio.py")
    rate = 8000
    pitch = torch.linspace(500, 3000, rate // 2)
    rising = torch.sin(2 * torch.pi * pitch.cumsum(0) / rate)
    loudest = own.log_mel(rising, rate, 24).argmax(0)[3:-3]
    assert (loudest.diff() >= 0).all()
    assert loudest[-1] - loudest[0] > 8
    filters = own.mel_filters(24, 129, rate)
    assert filters.shape == (24, 129)
    assert (filters.sum(1) > 0).all()
