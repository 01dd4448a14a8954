import json
from pathlib import Path

import pytest

from hpo.doctor import examine, repair
from hpo.errors import EnvironmentFault, UsageError
from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import StudySpec, load_study
from hpo.study import run_study

TINY = {
    "name": "tiny",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32}},
    "trainer": {"max_epochs": 1, "batch_size": 32},
    "search": {"sampler": "random", "pruner": "none", "seed": 1},
    "budget": {"trials": 3},
}


def spec() -> StudySpec:
    return load_study(TINY)


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return run_study(spec(), tmp_path).folder


def bad(results: Path) -> list[str]:
    return [finding.what for finding in examine(results) if not finding.sound]


def values(folder: StudyFolder) -> list[float | None]:
    return [record.value for record in read_trials(folder)]


def test_a_sound_study_needs_nothing(study: StudyFolder) -> None:
    assert bad(study.path.parent) == []
    assert list(repair(study.path.parent)) == []
    assert "tiny: 3 trials on record" in [one.what for one in examine(study.path.parent)]


def test_a_folder_that_is_not_there_yet_is_examined_too(tmp_path: Path) -> None:
    assert bad(tmp_path / "not" / "yet") == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_storage_is_rebuilt_from_the_records(study: StudyFolder) -> None:
    results = study.path.parent
    file = results / "storage.sqlite"
    file.write_bytes(file.read_bytes()[:6000])
    assert any("storage.sqlite: is damaged" in line for line in bad(results))
    done = list(repair(results))
    assert done[0].endswith("was damaged, and is kept as storage.sqlite.damaged-1")
    assert done[1] == "tiny: 3 trials were put back into the storage"
    assert bad(results) == []
    before = study.best_config.read_bytes()
    assert run_study(spec(), results).end.new == 0
    assert study.best_config.read_bytes() == before


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_f20_a_trial_whose_record_is_lost_is_trained_again_to_the_same_value(
    study: StudyFolder, damage: str
) -> None:
    results, before = study.path.parent, values(study)
    record = study.trial(1) / "result.json"
    if damage == "torn":
        record.write_bytes(record.read_bytes()[:100])
    else:
        record.unlink()
    assert bad(results)
    done = list(repair(results))
    assert "tiny: trial 1 is trained again at the next hpo run" in done
    outcome = run_study(spec(), results)
    assert outcome.end.new == 1
    assert values(study) == before
    assert bad(results) == []


def test_f20_a_torn_best_config_is_written_again(study: StudyFolder) -> None:
    results = study.path.parent
    before = json.loads(study.best_config.read_text())
    study.best_config.write_text('{"schema": "hpo.best')
    assert bad(results) == [f"{study.best_config}: is damaged"]
    list(repair(results))
    run_study(spec(), results)
    after = json.loads(study.best_config.read_text())
    assert {**after, "created_utc": ""} == {**before, "created_utc": ""}


def test_a_running_study_is_not_touched(study: StudyFolder) -> None:
    with study.owned(), pytest.raises(EnvironmentFault, match="is run by"):
        list(repair(study.path.parent))


def test_a_study_that_cannot_be_read_keeps_no_other_from_being_repaired(study: StudyFolder) -> None:
    results = study.path.parent
    other = run_study(load_study({**TINY, "name": "zebra"}), results).folder
    study.study_file.write_text(study.study_file.read_text().replace("family: mlp", "family: own"))
    (results / "storage.sqlite").write_bytes(b"no tables" * 500)
    done: list[str] = []
    with pytest.raises(UsageError, match="own"):
        done.extend(repair(results))
    assert any(line.startswith("tiny was left as it is: ") for line in done)
    assert f"{other.name}: 3 trials were put back into the storage" in done


def test_the_command_says_what_it_found_and_did(study: StudyFolder, cli) -> None:
    results = study.path.parent
    assert cli("doctor", "--results", results).code == 0
    (study.trial(1) / "result.json").write_text("{")
    said = cli("doctor", "--results", results)
    assert said.code == 5
    assert "BAD  " in said.out
    assert said.err.splitlines()[-1] == "next: hpo doctor --repair"
    said = cli("doctor", "--results", results, "--repair", "--json")
    answer = json.loads(said.out)
    assert (said.code, answer["ok"]) == (0, True)
    assert len(answer["result"]["done"]) == 2
