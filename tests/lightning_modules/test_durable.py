import errno
import hashlib
import os
from pathlib import Path

import pytest

from lightning_modules.durable import file_sha256, full_disk, is_temporary, replacing, write_text
from lightning_modules.errors import TrialFailed


def test_what_is_written_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert is_temporary(temporary)
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_goes_wrong_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as temporary:
        temporary.write_text("half\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "é\n")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_lack_of_room_is_a_failed_trial(number: int) -> None:
    text = rf"^curve\.csv could not be written \({os.strerror(number)}\); free space, then run the"
    with pytest.raises(TrialFailed, match=text) as caught, full_disk("curve.csv"):
        raise OSError(number, os.strerror(number))
    assert caught.value.reason == "disk"


def test_another_error_of_the_system_keeps_its_kind() -> None:
    with pytest.raises(PermissionError), full_disk("curve.csv"):
        raise PermissionError(errno.EACCES, "denied")


@pytest.mark.parametrize("name", ["last.json", ".hidden", "a.tmp"])
def test_other_files_are_not_taken_for_temporary_ones(name: str) -> None:
    assert not is_temporary(Path("folder") / name)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()
