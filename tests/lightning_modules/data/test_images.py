import gzip
from pathlib import Path

import numpy as np
import pytest

from lightning_modules.data.config import IdxConfig
from lightning_modules.data.frames import Array
from lightning_modules.data.images import load_idx, read_idx
from lightning_modules.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: Array) -> bytes:
    code = CODES[array.dtype.str[1:]]
    sizes = np.array(array.shape, dtype=">u4").tobytes()
    return (
        bytes([0, 0, code, array.ndim])
        + sizes
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def write(
    folder: Path, split: str = "train", n: int = 6, joint: str = "-", gz: bool = False
) -> None:
    images = (np.arange(n * 6) % 256).astype(np.uint8).reshape(n, 2, 3)
    labels = (np.arange(n) % 2).astype(np.uint8)
    for kind, array in (("images", images), ("labels", labels)):
        name = f"{split}-{kind}{joint}idx{array.ndim}-ubyte"
        data = idx(array)
        path = folder / (name + ".gz" if gz else name)
        path.write_bytes(gzip.compress(data, mtime=0) if gz else data)


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("joint", ["-", "."])
def test_images_come_with_a_channel_axis_and_labels_as_text(
    tmp_path: Path, gz: bool, joint: str
) -> None:
    write(tmp_path, joint=joint, gz=gz)
    raw = load_idx(IdxConfig(path=str(tmp_path), test=0.2))
    assert raw.x.shape == (6, 1, 2, 3)
    assert raw.x.dtype == np.uint8
    assert raw.x[1, 0, 0].tolist() == [6, 7, 8]
    assert list(raw.y) == ["0", "1"] * 3
    assert raw.official_test is None


def test_t10k_files_are_the_test_split(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "t10k", n=4, gz=True)
    raw = load_idx(IdxConfig(path=str(tmp_path)))
    assert raw.official_test is not None
    assert raw.official_test[0].shape == (4, 1, 2, 3)
    with pytest.raises(DataError, match=r"data.test 0.2 would have no effect; remove data.test"):
        load_idx(IdxConfig(path=str(tmp_path), test=0.2))


def test_without_t10k_files_a_share_is_needed(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(DataError, match=r"has no t10k files, so no test split; set data.test"):
        load_idx(IdxConfig(path=str(tmp_path)))


@pytest.mark.parametrize("kind", list(CODES))
def test_every_type_and_number_of_dimensions_is_read(tmp_path: Path, kind: str) -> None:
    array = np.arange(24).astype(kind).reshape(2, 3, 2, 2)
    (tmp_path / "a").write_bytes(idx(array))
    read = read_idx(tmp_path / "a")
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert (read == array).all()


def test_color_images_keep_their_channels(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    (tmp_path / "train-images-idx4-ubyte").write_bytes(idx(np.zeros((6, 3, 2, 2), np.uint8)))
    assert load_idx(IdxConfig(path=str(tmp_path), test=0.2)).x.shape == (6, 3, 2, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no IDX file: it begins with nothing"),
        (b"PNG data", "is no IDX file: it begins with 50 4e 47 20; 00 00, a type"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "is no IDX file"),
        (b"\0\0\x08\x00", "is no IDX file"),
        (b"\0\0\x08\x03\0\0\0\x01\0", r"is cut off: 0 bytes of 1 for \(1,\)"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"is cut off: 5 bytes of 6 for \(2, 3\); fetch"),
        (idx(np.zeros((2, 3), np.uint8)) + b"\0", r"is longer than \(2, 3\) needs"),
    ],
)
def test_a_file_that_is_not_idx_or_cut_off_is_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    for name, content in (("a", data), ("a.gz", gzip.compress(data, mtime=0))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path / name)


@pytest.mark.parametrize(
    "data",
    [
        b"not gzip",
        gzip.compress(b"x" * 99, mtime=0)[:-12],
        gzip.compress(b"", mtime=0)[:10] + b"\xff" * 9,
    ],
)
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"is damaged: .*; fetch it again"):
        read_idx(tmp_path / "a.gz")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="a: cannot be read: Is a directory"):
        read_idx(tmp_path / "a")


def test_missing_folders_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder; give the folder that has train"):
        load_idx(IdxConfig(path=str(tmp_path / "no")))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        load_idx(IdxConfig(path=str(tmp_path / "file")))
    with pytest.raises(DataError, match="train-images-idx3-ubyte is missing; expected"):
        load_idx(IdxConfig(path=str(tmp_path)))
    write(tmp_path)
    write(tmp_path, "t10k")
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is missing"):
        load_idx(IdxConfig(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(5, np.uint8), "train has 6 images and 5 labels"),
        ("train-labels-idx1-ubyte", np.zeros((6, 1), np.uint8), "is no list of integers"),
        ("train-labels-idx1-ubyte", np.zeros(6, np.float32), "is no list of integers"),
        ("train-images-idx3-ubyte", np.zeros((6, 4), np.uint8), "has 2 dimensions; images have 3"),
        (
            "t10k-images-idx3-ubyte",
            np.zeros((6, 4, 4), np.uint8),
            r"train images are \(1, 2, 3\), t10k images \(1, 4, 4\)",
        ),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    tmp_path: Path, name: str, array: Array, message: str
) -> None:
    write(tmp_path)
    write(tmp_path, "t10k")
    (tmp_path / name).write_bytes(idx(array))
    with pytest.raises(DataError, match=message):
        load_idx(IdxConfig(path=str(tmp_path)))
