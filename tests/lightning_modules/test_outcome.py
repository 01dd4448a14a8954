from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules import outcome
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.errors import TrialFailed
from lightning_modules.outcome import Outcome
from lightning_modules.result import Validation

MakeTrainer = Callable[[], tuple[pl.Trainer, torch.nn.Linear]]


def validation(number: int, *, best: bool, **changes: Any) -> Validation:
    return Validation(
        validation=number,
        epoch=float(number),
        step=number,
        seconds=0.0,
        objective=0.5,
        best=best,
        metrics={"val/loss": 0.5},
        **changes,
    )


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_small_weights_wait_until_the_run_is_left(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer, linear = make_trainer()
    kept = Outcome(tmp_path)
    with torch.no_grad():
        for number in (1, 2, 3):
            linear.weight.fill_(number)
            kept.validated(trainer, [validation(number, best=number < 3)])
    assert names(tmp_path) == []
    kept.settle()
    assert names(tmp_path) == ["best.ckpt", "curve.csv"]
    assert load_checkpoint(tmp_path / "best.ckpt")["state_dict"]["linear.weight"][0, 0] == 2


def test_large_weights_do_not_wait_in_memory(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "MOST_WAITING", 10)
    Outcome(tmp_path).validated(make_trainer()[0], [validation(1, best=True)])
    assert names(tmp_path) == ["best.ckpt"]


def test_the_curve_of_a_run_is_on_the_disk_while_it_trains(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "CURVE_EVERY_S", 0.0)
    kept, trainer = Outcome(tmp_path), make_trainer()[0]
    kept.validated(trainer, [validation(1, best=False)])
    kept.validated(trainer, [validation(1, best=False), validation(2, best=False)])
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 3


def test_weights_that_wait_are_part_of_a_checkpoint(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    kept = Outcome(tmp_path)
    kept.validated(make_trainer()[0], [validation(1, best=True)])
    waiting = kept.content().clone()
    described = kept.checkpoint()
    assert torch.equal(waiting, kept.content())
    (tmp_path / "other").mkdir()
    other = Outcome(tmp_path / "other")
    other.restore(waiting, [validation(1, best=True)])
    assert names(tmp_path / "other") == ["best.ckpt", "curve.csv"]
    assert other.checkpoint() == described


def test_weights_that_cannot_be_put_in_place_leave_no_rest(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "best.ckpt").mkdir()
    kept = Outcome(tmp_path)
    kept.validated(make_trainer()[0], [validation(1, best=True)])
    with pytest.raises(IsADirectoryError):
        kept.settle()
    assert names(tmp_path) == ["best.ckpt"]


def test_a_file_that_changed_since_is_not_described(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    kept = Outcome(tmp_path)
    kept.validated(make_trainer()[0], [validation(1, best=True)])
    kept.settle()
    (tmp_path / "best.ckpt").write_bytes(b"other")
    with pytest.raises(TrialFailed, match="is not what was written there") as caught:
        kept.checkpoint()
    assert caught.value.reason == "disk"
