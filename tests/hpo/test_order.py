import json
from pathlib import Path

import pytest

from hpo.errors import EnvironmentFault, UsageError
from hpo.layout import StudyFolder
from hpo.order import (
    archive,
    change_tags,
    known_tags,
    list_with_about,
    read_about,
    set_note,
    size_of,
    unarchive,
)


@pytest.fixture
def folder(tmp_path) -> StudyFolder:
    """A study's folder with nothing in it but what makes it one."""
    return study(tmp_path / "results", "one")


def study(results: Path, name: str) -> StudyFolder:
    path = results / name
    path.mkdir(parents=True)
    (path / "study.yaml").write_text(f"name: {name}\n")
    (path / "fingerprint.json").write_text("{}")
    return StudyFolder(path)


def test_a_study_of_which_nothing_is_said_has_no_tags_and_no_note(folder) -> None:
    about = read_about(folder)
    assert (about.tags, about.note, about.archived) == ([], "", False)
    assert not folder.about.exists()


def test_tags_are_added_once_and_taken_off(folder) -> None:
    change_tags(folder, ["paper", "baseline"], [])
    assert change_tags(folder, ["baseline", "größer-2.0"], ["paper"]).tags == [
        "baseline",
        "größer-2.0",
    ]
    assert read_about(folder).tags == ["baseline", "größer-2.0"]


@pytest.mark.parametrize("tag", ["", "a b", "-old", "<b>", "a,b", "=1+1", "x" * 41, "a/b"])
def test_what_is_no_word_is_no_tag(folder, tag: str) -> None:
    with pytest.raises(UsageError, match="is no tag; 1 to 40 letters"):
        change_tags(folder, [tag], [])
    assert not folder.about.exists()


def test_a_tag_that_is_not_there_cannot_be_taken_off(folder) -> None:
    change_tags(folder, ["paper"], [])
    with pytest.raises(UsageError, match="has no tag 'papr'; did you mean 'paper'"):
        change_tags(folder, [], ["papr"])
    with pytest.raises(UsageError, match="'new' is added too; choose one"):
        change_tags(folder, ["new"], ["new"])
    with pytest.raises(UsageError, match="21 tags are too many; 20 at most"):
        change_tags(folder, [f"t{n}" for n in range(20)], [])
    assert read_about(folder).tags == ["paper"]


def test_a_note_takes_the_place_of_the_one_before(folder) -> None:
    assert set_note(folder, "  first\r\nsecond line \n").note == ""
    assert set_note(folder, "another").note == "first\nsecond line"
    set_note(folder, "")
    assert read_about(folder).note == ""


def test_a_note_holds_every_language_and_no_control_character(folder) -> None:
    text = "<script>alert(1)</script> =1+1 नमस्ते می‌خواهم 👩‍🔬"
    set_note(folder, text)
    assert read_about(folder).note == text
    for wrong in ("a\x1b[2Jb", "a\x00b", "a\u202eb"):
        with pytest.raises(UsageError, match="control characters"):
            set_note(folder, wrong)
    with pytest.raises(UsageError, match="10,001 characters is too long"):
        set_note(folder, "x" * 10_001)
    assert read_about(folder).note == text


def test_unknown_keys_of_a_later_version_are_kept(folder) -> None:
    folder.about.write_text('{"schema": "hpo.about/1", "tags": ["a"], "colour": "red"}')
    change_tags(folder, ["b"], [])
    assert json.loads(folder.about.read_text())["colour"] == "red"


def test_a_damaged_file_is_named_and_never_overwritten(folder) -> None:
    folder.about.write_text('{"schema": "hpo.about/1", "tags": [')
    with pytest.raises(UsageError, match=r"about\.json: is damaged.*; mend it, or remove it"):
        change_tags(folder, ["a"], [])
    damaged: list[str] = []
    assert read_about(folder, damaged).tags == []
    assert len(damaged) == 1
    ((listed,), _) = list_with_about(folder.path.parent)
    assert "about.json" in listed.line.damaged[-1]


def test_a_folder_that_cannot_be_written_is_an_environment_fault(folder, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hpo.order.write_json", full)
    with pytest.raises(EnvironmentFault, match="Permission denied"):
        change_tags(folder, ["a"], [])
    with pytest.raises(EnvironmentFault, match="No such file"):
        set_note(StudyFolder(folder.path / "gone"), "x")


def test_studies_are_listed_by_all_their_tags(folder) -> None:
    other = study(folder.path.parent, "two")
    change_tags(folder, ["paper", "cnn"], [])
    change_tags(other, ["paper"], [])
    names = lambda **asked: [  # noqa: E731
        one.line.name for one in list_with_about(folder.path.parent, **asked)[0]
    ]
    assert names() == ["one", "two"]
    assert names(tags=["paper"]) == ["one", "two"]
    assert names(tags=["paper", "cnn"]) == ["one"]
    assert names(tags=["nothing"]) == []
    assert known_tags(folder.path.parent) == ["cnn", "paper"]


def test_an_archived_study_is_left_out_and_counted_and_comes_back(folder) -> None:
    archive(folder)
    first = read_about(folder).archived_utc
    assert list_with_about(folder.path.parent) == ([], 1)
    ((listed,), hidden) = list_with_about(folder.path.parent, archived=True)
    assert (listed.about.archived, hidden) == (True, 0)
    archive(folder)
    assert read_about(folder).archived_utc == first
    unarchive(folder)
    assert len(list_with_about(folder.path.parent)[0]) == 1
    with pytest.raises(UsageError, match="is not archived"):
        unarchive(folder)


def test_archiving_deletes_the_cache_and_nothing_else(copied) -> None:
    copied.cache.mkdir(exist_ok=True)
    (copied.cache / "x.npy").write_bytes(b"0" * 1000)
    before = {path for path in copied.path.rglob("*") if copied.cache not in path.parents}
    assert archive(copied) >= 1000
    after = set(copied.path.rglob("*"))
    assert before - after == {copied.cache}


def test_a_cache_that_is_a_link_is_left_alone(folder, tmp_path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "x.npy").write_bytes(b"0")
    folder.cache.symlink_to(tmp_path / "shared")
    assert archive(folder) == 0
    assert (tmp_path / "shared" / "x.npy").exists()


def test_a_folder_in_which_somebody_writes_a_study_file_keeps_its_cache(folder) -> None:
    folder.fingerprint.unlink()
    folder.cache.mkdir()
    with pytest.raises(UsageError, match="it has a study file, and no fingerprint"):
        archive(folder)
    assert folder.cache.is_dir()
    assert not folder.about.exists()


def test_a_study_that_runs_is_not_archived(folder, monkeypatch) -> None:
    monkeypatch.setattr("hpo.layout.PATIENCE_S", 0.0)
    with folder.owned(), pytest.raises(EnvironmentFault, match="is run by"):
        archive(folder)
    assert not read_about(folder).archived


def test_sizes_count_files_and_no_links(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"0" * 100)
    (tmp_path / "b").symlink_to("/usr")
    assert 100 <= size_of(tmp_path) < 200


def test_the_command_line_tags_notes_and_filters(cli, copied) -> None:
    place = ("--results", copied.path.parent)
    assert cli("tag", "tiny", *place).err == "tiny has no tags; next: hpo tag tiny baseline\n"
    assert cli("tag", "tiny", "paper", "baseline", *place).out == "baseline paper\n"
    assert cli("note", "tiny", *place).err.startswith("tiny has no note; next: hpo note tiny")
    assert cli("note", "tiny", "on iris", *place).out == "on iris\n"
    assert cli("note", "tiny", "on iris, again", *place).err == "before: on iris\n"
    shown = cli("list", *place).out.splitlines()
    assert shown[0].split()[-1] == "about"
    assert shown[1].rstrip().endswith("baseline paper on iris, again")
    (line,) = json.loads(cli("list", "--tag", "paper", "--json", *place).out)["result"]
    assert (line["tags"], line["note"]) == (["baseline", "paper"], "on iris, again")
    assert line["archived_utc"] is None
    none = cli("list", "--tag", "papr", *place)
    assert (none.code, none.out) == (0, "")
    assert none.err.endswith("has the tag papr; tags: baseline, paper\n")
    assert cli("tag", "tiny", "--remove", "paper", *place).out == "baseline\n"
    assert cli("tag", "tiny", "--remove", "paper", *place).code == 2


def test_the_command_line_archives_and_undoes(cli, copied) -> None:
    place = ("--results", copied.path.parent)
    archived = cli("archive", "tiny", *place)
    assert archived.out.startswith("tiny is archived")
    assert "hpo archive tiny --undo" in archived.err
    hidden = cli("list", *place)
    assert (hidden.out, hidden.err) == ("", "1 archived study is left out; hpo list --archived\n")
    assert "archived" in cli("list", "--archived", *place).out
    assert cli("best", "tiny", *place).code == 0
    assert cli("archive", "tiny", "--undo", *place).out == "tiny is listed again\n"
    assert "tiny" in cli("list", *place).out


def test_a_note_is_read_from_standard_input(cli, copied, monkeypatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    said = cli("note", "tiny", "-", "--json", "--results", copied.path.parent)
    assert json.loads(said.out)["result"] == {"study": "tiny", "note": "one\ntwo"}


def test_tags_change_nothing_that_a_study_is_held_to(copied) -> None:
    fingerprint = copied.fingerprint.read_bytes()
    change_tags(copied, ["a"], [])
    set_note(copied, "b")
    assert copied.fingerprint.read_bytes() == fingerprint
