import json
import os
import shutil

import optuna
import pytest

from hpo import remove
from hpo.errors import EnvironmentFault, UsageError
from hpo.layout import StudyFolder, find_studies
from hpo.remove import delete_study, find_doomed
from hpo.storage.writer import sqlite_url


def stored(results) -> list[str]:
    storage = optuna.storages.RDBStorage(sqlite_url(results / "storage.sqlite"))
    try:
        return optuna.get_all_study_names(storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def delete(name: str, folder: StudyFolder):
    return delete_study(find_doomed(name, folder.path.parent))


def test_a_deleted_study_leaves_nothing_in_folder_and_storage(copied) -> None:
    results = copied.path.parent
    done = delete("tiny", copied)
    assert (done.name, done.trials, done.stored_trials) == ("tiny", 7, 7)
    assert done.size_bytes > 1000
    assert sorted(path.name for path in results.iterdir()) == [
        "storage.sqlite",
        "storage.sqlite.lock",
    ]
    assert stored(results) == []


def test_looking_at_what_would_be_deleted_deletes_nothing(copied) -> None:
    doomed = find_doomed("tiny", copied.path.parent)
    assert (doomed.trials, doomed.stored_as) == (7, ("tiny",))
    assert copied.study_file.exists()
    assert stored(copied.path.parent) == ["tiny"]


def test_another_study_of_the_storage_is_whole_afterwards(copied) -> None:
    results = copied.path.parent
    storage = optuna.storages.RDBStorage(sqlite_url(results / "storage.sqlite"))
    other = optuna.create_study(storage=storage, study_name="other")
    other.set_user_attr("kept", 1)
    other.enqueue_trial({"x": 1.0})
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    before = [(t.number, t.params, t.values, t.system_attrs) for t in other.trials]
    delete("tiny", copied)
    after = optuna.load_study(storage=storage, study_name="other")
    assert [(t.number, t.params, t.values, t.system_attrs) for t in after.trials] == before
    assert after.user_attrs == {"kept": 1}
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.parametrize("table", ["trial_params", "trial_values", "trial_user_attributes"])
def test_no_row_of_a_deleted_study_is_left(copied, table: str) -> None:
    import sqlite3

    delete("tiny", copied)
    connection = sqlite3.connect(copied.path.parent / "storage.sqlite")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


def test_a_storage_of_another_schema_is_left_to_optuna(copied, monkeypatch) -> None:
    monkeypatch.setattr("hpo.storage.removal.SCHEMA", "v99")
    assert delete("tiny", copied).stored_trials == 7
    assert stored(copied.path.parent) == []


def test_links_are_removed_and_what_they_lead_to_stays(copied, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data.csv").write_text("precious")
    (copied.path / "trials" / "linked").symlink_to(outside)
    (copied.path / "linked.csv").symlink_to(outside / "data.csv")
    delete("tiny", copied)
    assert (outside / "data.csv").read_text() == "precious"


def test_a_study_whose_folder_is_a_link_is_not_followed(copied, tmp_path) -> None:
    copied.path.rename(tmp_path / "elsewhere")
    copied.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        UsageError, match=r"is a link to a folder elsewhere; hpo delete /.*elsewher"
    ):
        find_doomed("tiny", copied.path.parent)
    assert (tmp_path / "elsewhere" / "study.yaml").exists()


def test_the_place_of_the_rest_may_be_a_link_that_somebody_laid(copied, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("precious")
    copied.path.with_name(".tiny.deleted").symlink_to(outside)
    delete("tiny", copied)
    assert (outside / "x").exists()
    assert not os.path.lexists(copied.path.with_name(".tiny.deleted"))


@pytest.mark.parametrize("name", ["..", ".", "../results/tiny/..", "/", "a/b", "", "*"])
def test_a_name_that_is_a_path_to_no_study_deletes_nothing(copied, name: str) -> None:
    with pytest.raises(UsageError):
        find_doomed(name, copied.path.parent)
    assert copied.study_file.exists()


def test_a_folder_in_which_somebody_writes_a_study_file_is_not_deleted(
    tmp_path, monkeypatch
) -> None:
    (tmp_path / "project" / "src").mkdir(parents=True)
    (tmp_path / "project" / "study.yaml").write_text("name: tiny\n")
    monkeypatch.chdir(tmp_path / "project" / "src")
    for name in ("..", "../../project", str(tmp_path / "project")):
        with pytest.raises(UsageError, match="it has a study file, and no fingerprint"):
            find_doomed(name, tmp_path / "results")
    with pytest.raises(UsageError, match="no fingerprint"):
        find_doomed("project", tmp_path)


def test_a_study_is_found_by_a_path_with_dots(copied, monkeypatch) -> None:
    monkeypatch.chdir(copied.path / "trials")
    doomed = find_doomed("..", copied.path.parent.parent / "nothing")
    assert (doomed.name, doomed.rest) == ("tiny", copied.path.with_name(".tiny.deleted"))


def test_a_misspelt_study_is_asked_about(copied) -> None:
    with pytest.raises(UsageError, match=r"no study 'tinny' .* did you mean 'tiny'"):
        find_doomed("tinny", copied.path.parent)


def test_a_study_that_runs_is_not_deleted(copied, monkeypatch) -> None:
    monkeypatch.setattr("hpo.layout.PATIENCE_S", 0.0)
    with copied.owned(), pytest.raises(EnvironmentFault, match=r"is run by .*hpo stop tiny"):
        delete("tiny", copied)
    assert copied.study_file.exists()
    assert stored(copied.path.parent) == ["tiny"]


class Killed(BaseException):
    """The process ends here."""


def test_killed_before_the_folder_goes_the_study_is_whole(copied, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(remove, "_remove_rest", lambda rest: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            delete("tiny", copied)
    assert [folder.name for folder in find_studies(copied.path.parent)] == ["tiny"]
    assert delete("tiny", copied).stored_trials is None
    assert find_studies(copied.path.parent) == []


def test_killed_while_files_go_the_same_command_ends_it(copied, monkeypatch) -> None:
    results = copied.path.parent
    rmtree = shutil.rmtree

    def half(path) -> None:
        rmtree(path / "trials")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", half)
        with pytest.raises(Killed):
            delete("tiny", copied)
    assert find_studies(results) == []
    assert (results / ".tiny.deleted").is_dir()
    delete("tiny", copied)
    assert not (results / ".tiny.deleted").exists()


def test_trials_whose_folder_somebody_removed_are_deleted_from_the_storage(copied) -> None:
    shutil.rmtree(copied.path)
    doomed = find_doomed("tiny", copied.path.parent)
    assert (doomed.trials, doomed.size_bytes, doomed.folder) == (7, 0, None)
    assert delete_study(doomed).stored_trials == 7
    assert stored(copied.path.parent) == []
    with pytest.raises(UsageError, match="no study 'tiny'"):
        find_doomed("tiny", copied.path.parent)


def test_a_copy_beside_its_original_does_not_take_its_trials_along(copied) -> None:
    copy = copied.path.with_name("copy")
    shutil.copytree(copied.path, copy)
    assert delete("copy", copied).stored_trials is None
    assert stored(copied.path.parent) == ["tiny"]
    assert copied.study_file.exists()


def test_a_renamed_folder_takes_its_trials_along(copied) -> None:
    copied.path.rename(copied.path.with_name("renamed"))
    assert delete("renamed", copied).stored_trials == 7
    assert stored(copied.path.parent) == []


def test_a_study_in_another_storage_is_deleted_there(copied, tmp_path) -> None:
    results = copied.path.parent
    (results / "storage.sqlite").rename(tmp_path / "other.db")
    doomed = find_doomed("tiny", results, f"sqlite:///{tmp_path / 'other.db'}")
    assert delete_study(doomed).stored_trials == 7


def test_no_storage_is_made_where_there_is_none(copied) -> None:
    (copied.path.parent / "storage.sqlite").unlink()
    assert delete("tiny", copied).stored_trials is None
    assert not (copied.path.parent / "storage.sqlite").exists()


def test_a_storage_that_cannot_be_read_stops_the_deletion(copied) -> None:
    (copied.path.parent / "storage.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(EnvironmentFault, match="is damaged"):
        delete("tiny", copied)
    assert copied.study_file.exists()


def test_a_damaged_study_file_does_not_keep_a_study_alive(copied) -> None:
    copied.study_file.write_text("name: [")
    assert delete("tiny", copied).stored_trials == 7


def test_files_that_cannot_be_deleted_are_named(copied, monkeypatch) -> None:
    def refuse(path) -> None:
        raise PermissionError(13, "Permission denied", str(path / "x"))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(EnvironmentFault, match=r"deleted/x: Permission denied; .*hpo delete again"):
        delete("tiny", copied)


def test_the_command_line_never_asks_where_nobody_can_answer(cli, copied) -> None:
    place = ("--results", copied.path.parent)
    for options in ((), ("--json",)):
        said = cli("delete", "tiny", *options, *place)
        assert said.code == 2
        assert "7 trials" in said.out + said.err
    assert copied.study_file.exists()
    done = cli("delete", "tiny", "--yes", "--json", *place)
    assert json.loads(done.out)["result"]["stored_trials"] == 7
    assert cli("delete", "tiny", "--yes", *place).code == 2


def test_the_command_line_asks_and_takes_no_for_an_answer(cli, copied, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda text, err: False)
    said = cli("delete", "tiny", "--results", copied.path.parent)
    assert (said.code, said.out, said.err) == (0, "", "nothing was deleted\n")
    assert copied.study_file.exists()


def test_the_command_line_says_when_the_trials_may_be_elsewhere(cli, copied) -> None:
    (copied.path.parent / "storage.sqlite").unlink()
    said = cli("delete", "tiny", "--yes", "--results", copied.path.parent)
    assert said.out.startswith("deleted tiny: 7 trials, ")
    assert "--storage URL" in said.err
