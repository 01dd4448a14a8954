import errno
import os
from pathlib import Path

import pytest

from hpo import room
from hpo.errors import EnvironmentFault
from hpo.files import make_folder, write_text
from hpo.room import NoRoom, patiently


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE_S", 0.05)
    monkeypatch.setattr(room, "PAUSE_S", 0.001)


class Full:
    """A write that finds no room so many times."""

    def __init__(self, times: int, number: int = errno.ENOSPC) -> None:
        self.times, self.number, self.calls = times, number, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self.times:
            raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_waits_for_room_and_says_so_once(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    write = Full(3, number)
    patiently(write, "a.json")
    assert write.calls == 4
    (said,) = [record.message for record in caplog.records]
    assert said == f"a.json: {os.strerror(number)}; waiting up to 0.05 s for room"


def test_a_disk_that_stays_full_is_an_environment_fault_with_the_name_of_the_file() -> None:
    text = r"^a.json: could not be written \(No space left on device\); nothing is lost; free space"
    with pytest.raises(NoRoom, match=text) as caught:
        patiently(Full(10**6), "a.json")
    assert isinstance(caught.value, EnvironmentFault)
    assert caught.value.exit_code == 5


def test_another_error_is_not_waited_for() -> None:
    write = Full(1, errno.EACCES)
    with pytest.raises(PermissionError):
        patiently(write, "a.json")
    assert write.calls == 1


def test_a_file_that_found_no_room_is_as_it_was_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_text(file, "before")
    temporary = tmp_path / f".a.json.{os.getpid()}.tmp"
    temporary.symlink_to("/dev/full")
    write_text(file, "after")  # the link is gone at the second try: there is room
    assert file.read_text() == "after"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
