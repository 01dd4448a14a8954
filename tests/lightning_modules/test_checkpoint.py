import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules.checkpoint import (
    PlainCheckpointIO,
    content_of,
    load_checkpoint,
    take_weights,
)
from lightning_modules.errors import UsageError

MakeTrainer = Callable[[], tuple[pl.Trainer, torch.nn.Linear]]


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "a.ckpt"
    torch.save(content, path)
    return path


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = written(tmp_path, {"state_dict": {"weight": torch.ones(2)}, "epoch": 3})
    loaded = load_checkpoint(path)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["state_dict"]["weight"], torch.ones(2))


def test_a_missing_checkpoint_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.ckpt: no such checkpoint; train it again"):
        load_checkpoint(tmp_path / "none.ckpt")


@pytest.mark.parametrize("damage", ["empty", "random", "cut", "text"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path, {"state_dict": {"weight": torch.ones(64)}})
    whole = path.read_bytes()
    content = {"empty": b"", "random": bytes(range(256)), "cut": whole[:300], "text": b"hello\n"}
    path.write_bytes(content[damage])
    with pytest.raises(UsageError, match=r"a\.ckpt: cannot be read safely \(.+\); train it again"):
        load_checkpoint(path)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    path = written(tmp_path, {"state_dict": {}, "extra": Bomb(mark)})
    with pytest.raises(UsageError, match="cannot be read safely"):
        load_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [{"weight": torch.ones(1)}, [1, 2], torch.ones(1)])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError, match="holds no weights; name a checkpoint of a run"):
        load_checkpoint(path)


def test_hyperparameters_are_written_as_plain_values(tmp_path: Path) -> None:
    given = {
        "rate": 0.5,
        "data_dir": Path("data") / "x",
        "loss": torch.nn.functional.mse_loss,
        "sizes": (1, Path("a"), print),
        "deep": {"folder": [Path("b"), None, True], "act": torch.nn.ReLU()},
    }
    path = tmp_path / "a.ckpt"
    checkpoint = {"state_dict": {}, "hyper_parameters": given, "datamodule_hyper_parameters": given}
    PlainCheckpointIO().save_checkpoint(checkpoint, path)
    loaded = load_checkpoint(path)
    for name in ("hyper_parameters", "datamodule_hyper_parameters"):
        assert loaded[name] == {
            "rate": 0.5,
            "data_dir": "data/x",
            "sizes": (1, "a"),
            "deep": {"folder": ["b", None, True]},
        }
    assert given["data_dir"] == Path("data") / "x"


def test_weights_are_taken_as_they_are_at_the_moment(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer, linear = make_trainer()
    path = tmp_path / "a.ckpt"
    taken, before = take_weights(trainer), linear.weight.detach().clone()
    with torch.no_grad():
        linear.weight.add_(1.0)
    path.write_bytes(content_of(taken))
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["state_dict"]["linear.weight"], before)
    assert "optimizer_states" not in loaded
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.mark.parametrize("name", ["a.ckpt", ".a.ckpt.1.tmp"])
def test_a_checkpoint_under_any_name_is_written_once_and_nowhere_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("system", "run"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    path = tmp_path / "run" / name
    PlainCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.ones(2)}}, path)
    assert torch.equal(load_checkpoint(path)["state_dict"]["weight"], torch.ones(2))
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [name]


def test_a_temporary_file_of_ours_is_written_without_another_in_the_systems_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    path = tmp_path / ".a.ckpt.1.tmp"
    PlainCheckpointIO().save_checkpoint({"state_dict": {}}, path)
    assert path.exists()
