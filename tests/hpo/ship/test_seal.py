import random
from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.ship.seal import MARK, UNSEALED, check_seal, read_model, sealed

CONTENT = b"\x00model" * 200 + UNSEALED.encode() + b"\xffrest" * 300


def test_a_sealed_file_is_read_whole(tmp_path: Path) -> None:
    content = sealed(CONTENT)
    (tmp_path / "model.onnx").write_bytes(content)
    assert read_model(tmp_path / "model.onnx") == content
    assert len(content) == len(CONTENT)
    assert len(check_seal(read_model(tmp_path / "model.onnx"), "model")) == 64


def test_one_changed_bit_is_refused_wherever_it_is() -> None:
    content = sealed(CONTENT)
    for place in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(UsageError, match=r"is damaged|is no model file"):
            check_seal(bytes(flipped), "model.onnx")


def test_a_file_that_was_cut_or_continued_is_refused() -> None:
    content, chance = sealed(CONTENT), random.Random(0)
    for n_bytes in [0, 1, len(content) - 1, *(chance.randrange(len(content)) for _ in range(50))]:
        with pytest.raises(UsageError, match=r"is damaged|is no model file"):
            check_seal(content[:n_bytes], "model.onnx")
    with pytest.raises(UsageError, match="is damaged"):
        check_seal(content + b"\0", "model.onnx")


def test_a_second_seal_behind_the_first_is_no_way_around_it() -> None:
    content = sealed(CONTENT)
    with pytest.raises(UsageError, match="is damaged"):
        check_seal(content + MARK + b"0" * 64, "model.onnx")


@pytest.mark.parametrize("content", [b"no place", UNSEALED.encode() * 2])
def test_content_has_one_place_for_its_seal(content: bytes) -> None:
    with pytest.raises(ValueError, match="places for the seal, expected one"):
        sealed(content)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.onnx: cannot be read: No such file"):
        read_model(tmp_path / "no.onnx")
