from pathlib import Path

import pytest

from hpo.errors import SpecError, UsageError
from hpo.files import dump_json, dump_yaml, write_json
from hpo.local import local_config, read_config


@pytest.fixture
def config(finished) -> dict:
    return finished.outcome.best.config


def of_csv(config: dict, path: Path | str) -> dict:
    data = {"source": "csv", "path": str(path), "target": "y"}
    return {**config, "data": data}


def test_a_best_config_a_trial_and_yaml_are_all_read(finished, config, tmp_path) -> None:
    trial = finished.folder.trial(finished.outcome.best.study["trial"])
    yaml = tmp_path / "config.yaml"
    yaml.write_text(dump_yaml(config))
    for file in (finished.folder.best_config, trial / "config.json", trial / "result.json", yaml):
        assert read_config(file).plain() == config


def test_overrides_are_applied(finished) -> None:
    config = read_config(finished.folder.best_config, ["seed=7", "trainer.max_epochs=1"])
    assert (config.seed, config.trainer.max_epochs) == (7, 1)


def test_a_study_file_is_no_config(finished) -> None:
    with pytest.raises(UsageError, match=r"study.yaml: is a study file, not one config; hpo run"):
        read_config(finished.folder.study_file)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"nothing.json: no such file; check the path"):
        read_config(tmp_path / "nothing.json")


def test_every_mistake_of_a_config_is_named(finished, config, tmp_path) -> None:
    file = tmp_path / "c.json"
    file.write_text(dump_json({**config, "sede": 1, "trainer": {"max_epochs": 0}}))
    with pytest.raises(SpecError) as caught:
        read_config(file)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{file}: trainer.max_epochs: 0 does not fit; ")
    assert lines[1] == f"{file}: sede: unknown key; did you mean 'seed'?"


def test_an_override_that_is_wrong_is_named(finished) -> None:
    with pytest.raises(SpecError, match=r"--set trainer.max_epoch.*did you mean 'max_epochs'"):
        read_config(finished.folder.best_config, ["trainer.max_epoch=1"])


def test_a_record_s_data_are_found_by_the_study_file_beside_it(config, tmp_path) -> None:
    table = tmp_path / "somewhere" / "table.csv"
    table.parent.mkdir()
    table.write_text("a,y\n1,0\n")
    (tmp_path / "study.yaml").write_text(dump_yaml({"data": {"path": str(table)}}))
    found = local_config(of_csv(config, "table.csv"), tmp_path / "best_config.json")
    assert found.data.path == str(table)


def test_data_that_are_here_are_taken_from_here(config, tmp_path) -> None:
    here = tmp_path / "table.csv"
    here.write_text("a,y\n1,0\n")
    (tmp_path / "study.yaml").write_text(dump_yaml({"data": {"path": "/other/table.csv"}}))
    found = local_config(of_csv(config, here), tmp_path / "best_config.json")
    assert found.data.path == str(here)


@pytest.mark.parametrize("data", [{"path": "/x/other.csv"}, {"path": 3}, {}, None])
def test_another_study_file_beside_a_record_changes_nothing(config, tmp_path, data) -> None:
    (tmp_path / "study.yaml").write_text(dump_yaml({"data": data}))
    found = local_config(of_csv(config, "table.csv"), tmp_path / "best_config.json")
    assert found.data.path == "table.csv"


def test_a_given_path_wins(config, tmp_path) -> None:
    (tmp_path / "study.yaml").write_text(dump_yaml({"data": {"path": "/x/table.csv"}}))
    found = local_config(
        of_csv(config, "table.csv"), tmp_path / "best_config.json", ["data.path=/y/t.csv"]
    )
    assert found.data.path == "/y/t.csv"


def test_a_record_without_a_study_file_is_read_as_it_is(config, tmp_path) -> None:
    file = tmp_path / "best_config.json"
    write_json(file, {"schema": "hpo.best_config/1", "config": config})
    assert read_config(file).plain() == config
