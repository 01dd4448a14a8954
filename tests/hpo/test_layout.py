import json
import os
from pathlib import Path

import pytest

from hpo.errors import EnvironmentFault, UsageError
from hpo.layout import StudyFolder, find_studies, find_study


def study_at(path: Path) -> StudyFolder:
    path.mkdir(parents=True)
    (path / "study.yaml").write_text("name: x\n")
    return StudyFolder(path)


def test_the_names_of_all_files_are_those_that_the_documents_tell(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "digits")
    assert folder.name == "digits"
    paths = [
        folder.study_file,
        folder.fingerprint,
        folder.environment,
        folder.log,
        folder.tensorboard,
        folder.leaderboard,
        folder.best_config,
        folder.evaluation,
        folder.progress,
        folder.probe,
        folder.trial(7),
    ]
    assert [path.relative_to(folder.path).as_posix() for path in paths] == [
        "study.yaml",
        "fingerprint.json",
        "environment.txt",
        "log.txt",
        "tb",
        "leaderboard.csv",
        "best_config.json",
        "evaluation",
        "progress.json",
        "probe.json",
        "trials/0007",
    ]


def test_trial_folders_come_by_number_and_nothing_else_does(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    for number in (10000, 9999, 2, 0):
        folder.trial(number).mkdir(parents=True)
    (tmp_path / "trials" / "notes").mkdir()
    (tmp_path / "trials" / "0001").write_text("a file")
    assert folder.trial_folders() == [folder.trial(number) for number in (0, 2, 9999, 10000)]


def test_a_study_without_trials_has_no_trial_folders(tmp_path: Path) -> None:
    assert StudyFolder(tmp_path).trial_folders() == []


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    with folder.owned():
        with pytest.raises(EnvironmentFault) as caught, folder.owned():
            pass
        text = str(caught.value)
        assert text.startswith(f"{tmp_path}: is run by ")
        assert f'"pid": {os.getpid()}' in text
        assert text.endswith(f"; wait for it, or hpo stop {tmp_path.name}")
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_lock_is_free_again_after_its_owner_failed(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    with pytest.raises(KeyError), folder.owned():
        raise KeyError
    with folder.owned():
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert (tmp_path / "lock").read_text() == ""


def test_a_lock_of_a_process_that_is_gone_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text('{"host": "elsewhere", "pid": 1}')
    with StudyFolder(tmp_path).owned():
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_studies_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    b, a = study_at(tmp_path / "b"), study_at(tmp_path / "a")
    (tmp_path / "no_study").mkdir()
    assert find_studies(tmp_path) == [a, b]
    assert find_study("b", tmp_path) == b
    assert find_study(str(a.path), tmp_path / "elsewhere") == a


def test_a_misspelt_study_is_named_with_its_nearest(tmp_path: Path) -> None:
    study_at(tmp_path / "digits")
    with pytest.raises(UsageError) as caught:
        find_study("digit", tmp_path)
    assert str(caught.value) == f"no study 'digit' in {tmp_path}/; did you mean 'digits'?"


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_folder_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(study_at(tmp_path / "digits").path)
    with pytest.raises(UsageError) as caught:
        find_study(name, tmp_path)
    assert str(caught.value) == "STUDY: the name is empty; known: digits"


def test_a_name_of_a_page_is_not_said_back_whole(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_study("a" * 600, tmp_path)
    assert len(str(caught.value)) < 130 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["a" * 600, "a\0b", "../" * 2000])
def test_a_name_that_is_no_path_finds_no_study(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no study '"):
        find_study(name, tmp_path)


def test_where_there_is_no_study_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no study 'x' in .*; hpo run quickstart makes one"):
        find_study("x", tmp_path / "nowhere")


def test_a_place_that_is_no_folder_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    folder = StudyFolder(tmp_path / "results" / "digits")
    told = "results: is no folder; name another with --results"
    with pytest.raises(EnvironmentFault) as caught:
        folder.refuse_place()
    assert str(caught.value).endswith(told)
    with pytest.raises(EnvironmentFault, match=r"digits: .*; name another with --results"):
        with folder.owned():
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_place_that_can_be_made_is_not_made_by_looking(tmp_path: Path) -> None:
    StudyFolder(tmp_path / "a" / "b" / "digits").refuse_place()
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_no_studies(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UsageError, match="results: is a file; name a folder of studies"):
        find_studies(tmp_path / "results")
