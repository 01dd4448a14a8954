"""A trained network is pruned in rounds and fine-tuned: smaller, and still good."""

from pathlib import Path

import pytest

from hpo.compress import pruning
from hpo.compress.pruning import prune, tuning_config
from hpo.errors import StudyError
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.restore import restore_folder, score
from tests.hpo.compress.conftest import trained


def pruned(run: Path, folder: Path, sparsity: float) -> pruning.Pruned:
    config, _, module = restore_folder(run)
    data = open_data(config)
    return prune(config, module.state_dict(), data=data, folder=folder, sparsity=sparsity)


def accuracy(folder: Path) -> float:
    config, _, _ = restore_folder(folder)
    return score(config, folder / "best.ckpt", split="validation").metrics["accuracy"]


def test_hidden_units_are_gone_and_the_network_is_as_good(mlp_run: Path, tmp_path: Path) -> None:
    done = pruned(mlp_run, tmp_path / "p", 0.5)
    config, fitted, module = restore_folder(done.folder)
    assert config.plain()["model"]["layers"] == [48, 48]
    assert config == done.config
    before = RunConfig.model_validate_json((mlp_run / "config.json").read_text())
    assert config.optimizer == before.optimizer
    assert config.trainer == before.trainer
    assert fitted == restore_folder(mlp_run)[1]
    assert sum(p.numel() for p in module.parameters()) < 0.55 * (64 * 96 + 96 * 96 + 96 * 10)
    assert accuracy(done.folder) > accuracy(mlp_run) - 0.03
    assert "50% of the hidden units" in done.words


def test_fine_tuning_earns_back_what_pruning_costs(
    cnn_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = pruned(cnn_run, tmp_path / "tuned", 0.75)
    assert done.config.plain()["model"]["layers"] == [4, 8]
    monkeypatch.setattr(pruning, "LR_FACTOR", 1e-9)
    untouched = pruned(cnn_run, tmp_path / "untouched", 0.75)
    assert accuracy(done.folder) > accuracy(untouched.folder)


def test_every_space_of_a_recurrent_network_loses_the_same_share(tmp_path: Path) -> None:
    run = trained(
        tmp_path / "run",
        task={"kind": "binary"},
        data={"source": "sequence_sum", "n_rows": 200},
        model={"family": "gru", "width": 20, "n_layers": 2},
        trainer={"max_epochs": 2, "batch_size": 32, "accelerator": "cpu"},
    )
    done = pruned(run, tmp_path / "p", 0.6)
    before, after = (restore_folder(folder)[0].plain()["model"] for folder in (run, done.folder))
    assert after == {**before, "width": 8}
    assert "60% of the hidden units" in done.words


def test_fine_tuning_is_short_and_slow_and_ends_nothing_early() -> None:
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "digits"},
            "model": {"family": "mlp"},
            "optimizer": {"name": "adamw", "lr": 0.01},
            "schedule": {"name": "one_cycle"},
            "trainer": {
                "max_epochs": 50,
                "early_stopping": {"patience": 2},
                "averaging": {"name": "ema"},
                "validate_every": 0.5,
            },
        }
    )
    tuning = tuning_config(config, 4).plain()
    assert tuning["optimizer"]["lr"] == pytest.approx(0.003)
    assert tuning["schedule"]["name"] == "cosine"
    assert tuning["schedule"]["warmup"] == 0
    assert tuning["trainer"]["max_epochs"] == 4
    assert tuning["trainer"]["early_stopping"] is None
    assert "averaging" not in tuning["trainer"]


def test_a_fine_tuning_that_diverges_says_so(
    mlp_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "LR_FACTOR", 1e33)
    with pytest.raises(StudyError, match="fine-tuning failed: non-finite"):
        pruned(mlp_run, tmp_path / "p", 0.5)
