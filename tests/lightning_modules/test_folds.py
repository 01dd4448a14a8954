import csv
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.folds import of_fold
from lightning_modules.restore import restore_folder, score
from lightning_modules.result import Command, Validation
from lightning_modules.running import can_go_on
from lightning_modules.train import train
from lightning_modules.watch import Abandoned

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def config(make_config: MakeConfig) -> RunConfig:
    return make_config(data={"source": "iris", "folds": 3})


class Listening:
    """Keep every report; stop at the ``stop``-th, end everything at the ``batch``-th batch."""

    def __init__(self, *, stop: int = 0, batch: int = 0) -> None:
        self.stop, self.batch, self.batches = stop, batch, 0
        self.validations: list[Validation] = []

    def validated(self, validation: Validation) -> Command:
        self.validations.append(validation)
        return Command.STOP if len(self.validations) == self.stop else Command.CONTINUE

    def batch_ended(self) -> Command:
        self.batches += 1
        return Command.ABANDON if self.batches == self.batch else Command.CONTINUE


def objectives(folder: Path) -> list[float]:
    with (folder / "curve.csv").open(newline="") as stream:
        return [float(row["objective"]) for row in csv.DictReader(stream)]


def test_a_run_over_folds_comes_to_the_mean_of_runs_of_each(
    config: RunConfig, tmp_path: Path
) -> None:
    heard = Listening()
    result = train(config, tmp_path / "all", report=heard)
    alone = [train(of_fold(config, i), tmp_path / str(i)) for i in range(3)]
    values = [one.value for one in alone]
    assert result.folds == values
    assert result.value == fmean(values)
    assert [one.objective for one in heard.validations] == [
        fmean(values[: i + 1]) for i in range(3)
    ]
    assert objectives(tmp_path / "all") == [one.objective for one in heard.validations]
    assert (result.epochs_run, result.validations) == (6, 3)
    assert result.steps == sum(one.steps for one in alone)
    assert config.n_validations == 3
    assert config.most_epochs == 6


def test_the_network_of_every_fold_is_kept_that_of_the_first_by_the_run(
    config: RunConfig, tmp_path: Path
) -> None:
    result = train(config, tmp_path)
    assert result.folds is not None
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ckpt")}
    assert found == {"best.ckpt", "fold-2/best.ckpt", "fold-3/best.ckpt"}
    restored, _, module = restore_folder(tmp_path)
    assert restored == config
    assert module.facts.n_outputs == 3
    for fold, place in enumerate([tmp_path, tmp_path / "fold-2", tmp_path / "fold-3"]):
        scored = score(of_fold(config, fold), place / "best.ckpt", split="validation")
        assert scored.metrics["accuracy"] == pytest.approx(result.folds[fold])
    assert restore_folder(tmp_path / "fold-2")[0] == of_fold(config, 1)


def test_a_pruner_ends_a_run_between_two_folds(config: RunConfig, tmp_path: Path) -> None:
    result = train(config, tmp_path, report=Listening(stop=2))
    assert result.folds is not None
    assert (len(result.folds), result.stopped_by) == (2, "pruner")
    assert not (tmp_path / "fold-3").exists()


@pytest.mark.parametrize("batch", [3, 14, 20])
def test_an_interrupted_run_goes_on_in_the_fold_where_it_stood(
    config: RunConfig, tmp_path: Path, batch: int
) -> None:
    whole = train(config, tmp_path / "whole")
    with pytest.raises(Abandoned):
        train(config, tmp_path / "cut", report=Listening(batch=batch))
    assert can_go_on(tmp_path / "cut")
    heard = Listening()
    again = train(config, tmp_path / "cut", report=heard)
    assert again.folds == whole.folds
    assert again.checkpoint.sha256 == whole.checkpoint.sha256
    assert len(heard.validations) == 3
    assert heard.batches == whole.steps - batch


def test_the_data_of_the_first_fold_serve_the_whole_run(config: RunConfig) -> None:
    assert open_data(config).hashes == open_data(of_fold(config, 0)).hashes


def test_several_processes_do_not_train_folds(make_config: MakeConfig) -> None:
    with pytest.raises(ValueError, match=r"trainer\.processes: folds are trained one by one"):
        make_config(
            data={"source": "iris", "folds": 3},
            trainer={"max_epochs": 1, "batch_size": 16, "processes": 2},
        )
