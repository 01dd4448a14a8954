import json
import logging
from pathlib import Path

import pytest

from lightning_modules.running import (
    can_go_on,
    forget_running,
    keep_running,
    newest_sound,
)


def keep(folder: Path, *steps: int) -> None:
    def write(path: Path) -> None:
        path.write_text("x" * 99)

    for step in steps:
        keep_running(folder, write, step=step)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_checkpoints_are_kept_newest_first(tmp_path: Path) -> None:
    keep(tmp_path, 10, 20, 30)
    assert names(tmp_path) == ["last-000002.ckpt", "last-000003.ckpt", "last.json"]
    listed = json.loads((tmp_path / "last.json").read_text())["checkpoints"]
    assert [(one["file"], one["step"]) for one in listed] == [
        ("last-000003.ckpt", 30),
        ("last-000002.ckpt", 20),
    ]
    assert newest_sound(tmp_path) == tmp_path / "last-000003.ckpt"


def test_a_save_that_goes_wrong_leaves_the_two_before(tmp_path: Path) -> None:
    keep(tmp_path, 1, 2)
    before = names(tmp_path)

    def write(path: Path) -> None:
        path.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        keep_running(tmp_path, write, step=3)
    assert names(tmp_path) == before
    assert newest_sound(tmp_path) == tmp_path / "last-000002.ckpt"


def test_checkpoints_after_the_newest_sound_one_are_forgotten(tmp_path: Path) -> None:
    keep(tmp_path, 1, 2)
    (tmp_path / "last-000002.ckpt").write_text("damaged")
    assert newest_sound(tmp_path) == tmp_path / "last-000001.ckpt"
    assert names(tmp_path) == ["last-000001.ckpt", "last.json"]
    keep(tmp_path, 2)
    assert names(tmp_path) == ["last-000001.ckpt", "last-000002.ckpt", "last.json"]
    assert newest_sound(tmp_path) == tmp_path / "last-000002.ckpt"


def test_a_folder_without_checkpoints_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert not can_go_on(tmp_path)
    assert not can_go_on(tmp_path / "none")
    (tmp_path / "last-000001.ckpt").write_text("not listed")
    assert not can_go_on(tmp_path)
    assert newest_sound(tmp_path) is None


def test_what_is_forgotten_leaves_no_rest_and_touches_nothing_else(tmp_path: Path) -> None:
    keep(tmp_path, 1, 2)
    assert can_go_on(tmp_path)
    for name in (".last.json.7.tmp", "last-000009.ckpt", "best.ckpt", "last-words.ckpt"):
        (tmp_path / name).write_text("")
    forget_running(tmp_path)
    assert names(tmp_path) == ["best.ckpt", "last-words.ckpt"]
    forget_running(tmp_path / "none")


@pytest.mark.parametrize("file", ["../best.ckpt", "/etc/passwd", "best.ckpt"])
def test_a_manifest_names_no_other_file(
    file: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, 1)
    manifest = tmp_path / "last.json"
    manifest.write_text(manifest.read_text().replace("last-000001.ckpt", file))
    with caplog.at_level(logging.WARNING):
        assert not can_go_on(tmp_path)
    assert f"{manifest}: is damaged; the run starts again from its beginning" in caplog.text
