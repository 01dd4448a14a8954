"""Results folders are moved between machines: everything goes on where they are put."""

import json
import shutil
from pathlib import Path

import pytest

from hpo.errors import RefusedError
from hpo.files import read_document
from hpo.layout import StudyFolder
from hpo.listing import list_studies
from hpo.records import read_trials
from hpo.spec import load_study
from hpo.storage.removal import stored_trials
from hpo.storage.writer import sqlite_url
from hpo.study import run_study

ROWS = "".join(f"{n % 7},{(n * 5) % 11},{'ab'[n % 7 > 3]}\n" for n in range(90))
STUDY = {
    "name": "moved",
    "task": {"kind": "multiclass"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 8}},
    "trainer": {"max_epochs": 2, "batch_size": 32, "accelerator": "cpu"},
    "budget": {"trials": 2},
    "search": {"sampler": "random", "pruner": "none"},
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine: a project with data and a study of two trials on it; look, do not touch."""
    place = tmp_path_factory.mktemp("here") / "secret-place"
    place.mkdir()
    (place / "data.csv").write_text("x,y,kind\n" + ROWS)
    data = {"source": "csv", "path": str(place / "data.csv"), "target": "kind"}
    run_study(load_study({**STUDY, "data": data}), place / "results")
    return place


@pytest.fixture
def there(here, tmp_path, monkeypatch) -> Path:
    """Another machine: data elsewhere, results empty; the first machine's folder is gone."""
    place = tmp_path / "there"
    (place / "sets").mkdir(parents=True)
    shutil.copy(here / "data.csv", place / "sets" / "renamed.csv")
    hidden = here.with_name("hidden")
    here.rename(hidden)
    monkeypatch.chdir(place)
    yield place
    hidden.rename(here)


def moved(here: Path, there: Path, *, alone: bool) -> StudyFolder:
    """Copy the study alone, or all of the results; return it."""
    source, target = here.with_name("hidden") / "results", there / "results"
    if alone:
        shutil.copytree(source / "moved", target / "moved")
    else:
        shutil.copytree(source, target)
    return StudyFolder(target / "moved")


def test_records_say_nothing_of_the_place(here) -> None:
    folder = here / "results" / "moved"
    allowed = {"study.yaml", "fingerprint.json", "log.txt", "lock"}
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in allowed]
    assert len(files) > 10
    found = [path.name for path in files if b"secret-place" in path.read_bytes()]
    assert found == []
    assert b"secret-place" not in (here / "results" / "storage.sqlite").read_bytes()


@pytest.mark.parametrize("alone", [True, False])
def test_a_moved_study_is_looked_at_where_it_is(here, there, cli, alone: bool) -> None:
    moved(here, there, alone=alone)
    (line,) = list_studies(there / "results")
    assert (line.name, line.trials["complete"], line.damaged) == ("moved", 2, [])
    for verb in (("best", "moved"), ("show", "moved", 0), ("status", "moved"), ("trials", "moved")):
        assert cli(*verb).code == 0, verb


@pytest.mark.parametrize("alone", [True, False])
def test_a_moved_study_goes_on_with_its_data_given_again(here, there, alone: bool) -> None:
    folder = moved(here, there, alone=alone)
    before = [record.value for record in read_trials(folder)]
    data = ["data.path=sets/renamed.csv"]
    spec = load_study(folder.study_file, [*data, "budget.trials=3"])
    outcome = run_study(spec, there / "results")
    records = read_trials(folder)
    assert [record.value for record in records][:2] == before
    assert (len(records), outcome.end.new) == (3, 1)
    assert stored_trials(sqlite_url(there / "results" / "storage.sqlite"), "moved") == 3
    (change,) = json.loads(folder.fingerprint.read_text())["changes"]
    assert change["what"] == ["data.path: another place; the data are the same"]
    assert read_document(folder.study_file).values["data"]["path"] == "sets/renamed.csv"
    again = run_study(load_study(folder.study_file), there / "results")
    assert again.end.new == 0


def test_a_renamed_study_goes_on_under_its_new_name(here, there, cli) -> None:
    folder = moved(here, there, alone=False)
    folder.path.rename(folder.path.with_name("renamed"))
    data = ("--set", "data.path=sets/renamed.csv")
    file = there / "results" / "renamed" / "study.yaml"
    spec = load_study(file, [data[1], "name=renamed", "budget.trials=3"])
    assert run_study(spec, there / "results").end.new == 1
    url = sqlite_url(there / "results" / "storage.sqlite")
    assert (stored_trials(url, "moved"), stored_trials(url, "renamed")) == (2, 3)
    assert cli("delete", "moved", "--yes").code == 0  # what is left in the storage of the old name
    assert cli("delete", "renamed", "--yes").code == 0
    assert (stored_trials(url, "moved"), stored_trials(url, "renamed")) == (None, None)


def test_other_data_under_the_new_path_are_refused(here, there) -> None:
    folder = moved(here, there, alone=True)
    (there / "sets" / "renamed.csv").write_text("x,y,kind\n" + ROWS.replace("3,", "4,"))
    spec = load_study(folder.study_file, ["data.path=sets/renamed.csv", "budget.trials=3"])
    with pytest.raises(RefusedError, match="data_sha256"):
        run_study(spec, there / "results")
    assert len(read_trials(folder)) == 2


def test_a_moved_study_is_measured_and_trained_again(here, there, cli) -> None:
    folder = moved(here, there, alone=True)
    told = json.loads(folder.best_config.read_text())["metric"]["value"]
    data = ("--set", "data.path=sets/renamed.csv")
    measured = json.loads(cli("evaluate", "moved", *data, "--json").out)["result"]
    assert measured["metrics"]["accuracy"] == told
    trained = cli("train", "results/moved/best_config.json", *data, "-o", "again")
    assert (trained.code, "equal, bit for bit" in trained.err) == (0, True), trained.err
    verified = cli("verify", "results/moved/best_config.json", *data)
    assert verified.code == 0, verified.out


def test_the_doctor_names_what_is_missing_and_puts_it_back(here, there, cli) -> None:
    moved(here, there, alone=True)
    ill = cli("doctor")
    assert (ill.code, "2 trials on record are not in the storage" in ill.out) == (5, True)
    assert not (there / "results" / "storage.sqlite").exists()
    mended = cli("doctor", "--repair")
    assert (mended.code, "moved: 2 trials were put back" in mended.out) == (0, True)
    assert cli("doctor").code == 0


def test_two_machines_results_are_put_together(here, there, cli) -> None:
    first = moved(here, there, alone=False)
    other = first.path.with_name("other")
    shutil.copytree(first.path, other)
    text = (other / "study.yaml").read_text()
    (other / "study.yaml").write_text(text.replace("name: moved", "name: other"))
    assert [line.name for line in list_studies(there / "results")] == ["moved", "other"]
    assert cli("doctor", "--repair").code == 0
    url = sqlite_url(there / "results" / "storage.sqlite")
    assert (stored_trials(url, "moved"), stored_trials(url, "other")) == (2, 2)
