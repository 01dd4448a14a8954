import json

import pytest

from hpo.errors import TrialFailed, UsageError
from hpo.records import config_sha256
from hpo.retrain import retrain
from lightning_modules.result import Command, Validation


def test_a_best_config_gives_the_recorded_value_to_the_bit(finished, tmp_path) -> None:
    done = retrain(finished.folder.best_config, tmp_path / "run")
    assert done.recorded == done.result.value == finished.outcome.best.metric["value"]
    assert done.result.checkpoint.sha256 == finished.outcome.best.checkpoint["sha256"]


def test_a_run_leaves_config_result_checkpoint_and_log(finished, tmp_path) -> None:
    done = retrain(finished.folder.best_config, tmp_path / "run")
    record = json.loads((done.folder / "result.json").read_text())
    assert record["schema"] == "hpo.run/1"
    assert record["config_sha256"] == config_sha256(record["config"])
    assert record["run"]["value"] == done.result.value
    names = {path.name for path in done.folder.iterdir()}
    assert {"config.json", "best.ckpt", "curve.csv", "preparation.json", "log.txt"} <= names


def test_a_changed_config_is_held_against_nothing(finished, tmp_path) -> None:
    done = retrain(finished.folder.best_config, tmp_path / "run", overrides=["seed=1"])
    assert done.recorded is None
    assert done.config.seed == 1


@pytest.mark.parametrize("name", ["result.json", "config.json"])
def test_a_trial_can_be_trained_again_too(finished, tmp_path, name: str) -> None:
    done = retrain(finished.folder.trial(1) / name, tmp_path / "run")
    assert done.result.value == finished.records[1].value
    assert done.recorded is None


def test_what_was_retrained_can_be_retrained(finished, tmp_path) -> None:
    first = retrain(finished.folder.best_config, tmp_path / "a")
    second = retrain(first.folder / "result.json", tmp_path / "b")
    assert second.result.value == first.result.value


def test_a_folder_of_its_own_is_named_by_the_config(finished, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = retrain(finished.folder.best_config)
    assert str(done.folder) == f"runs/{finished.outcome.best.config_sha256[:12]}"


def test_a_config_of_several_processes_is_trained_by_them(finished, tmp_path) -> None:
    heard: list[int] = []

    class Hearing:
        def validated(self, validation: Validation) -> Command:
            heard.append(validation.validation)
            return Command.CONTINUE

        def batch_ended(self) -> Command:
            return Command.CONTINUE

    more = ["trainer.processes=2", "trainer.accelerator=cpu"]
    file = finished.folder.best_config
    done = retrain(file, tmp_path / "run", overrides=more, listener=Hearing())
    assert heard == list(range(1, done.result.validations + 1))
    assert done.result.value == pytest.approx(finished.outcome.best.metric["value"], abs=0.1)


def test_nothing_is_overwritten(finished, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("x")
    with pytest.raises(UsageError, match=r"run: is not empty; remove it, or name another with -o"):
        retrain(finished.folder.best_config, tmp_path / "run")
    with pytest.raises(UsageError, match=r"precious.txt: is not empty"):
        retrain(finished.folder.best_config, tmp_path / "run" / "precious.txt")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious.txt"]


def test_a_config_that_diverges_fails(finished, tmp_path) -> None:
    with pytest.raises(TrialFailed, match=r"non-finite loss in epoch 1"):
        retrain(finished.folder.trial(4) / "config.json", tmp_path / "run")


def test_a_listener_is_told_of_every_validation(finished, tmp_path) -> None:
    told: list[Validation] = []

    class Ear:
        def validated(self, validation: Validation) -> Command:
            told.append(validation)
            return Command.CONTINUE

        def batch_ended(self) -> Command:
            return Command.CONTINUE

    done = retrain(finished.folder.best_config, tmp_path / "run", listener=Ear())
    assert len(told) == done.result.validations == 3
    assert max(one.objective for one in told) == done.result.value
