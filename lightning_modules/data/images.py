"""Images in MNIST's IDX format, plain or gzipped."""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from lightning_modules.data.config import IdxConfig
from lightning_modules.data.frames import Array
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def load_idx(config: IdxConfig) -> RawData:
    """Return the images ``(rows, channels, height, width)`` of a folder, labels as text.

    Raises:
        DataError: if the folder or a file is missing, a file is no IDX file or damaged, counts or
            sizes differ, or ``data.test`` is set beside ``t10k`` files or unset without them.
    """
    folder = Path(os.path.expanduser(config.path))
    if not os.path.isdir(folder):  # Path.is_dir raises where a name is too long
        what = "is a file, not a folder" if os.path.exists(folder) else "there is no such folder"
        raise DataError(config.path, what, "give the folder that has train-images-idx3-ubyte")
    x, y = _pair(folder, "train")
    if not (_find(folder, "t10k", "images") or _find(folder, "t10k", "labels")):
        if config.test is None:
            raise DataError(
                config.path, "has no t10k files, so no test split", "set data.test, such as 0.2"
            )
        return RawData(x=x, y=y, where=config.path)
    if config.test is not None:
        raise DataError(
            config.path,
            f"its t10k files are the test split: data.test {config.test} would have no effect",
            "remove data.test",
        )
    test = _pair(folder, "t10k")
    if test[0].shape[1:] != x.shape[1:]:
        raise DataError(
            config.path,
            f"train images are {x.shape[1:]}, t10k images {test[0].shape[1:]}",
            "both need the same channels, height and width",
        )
    return RawData(x=x, y=y, where=config.path, official_test=test)


def read_idx(path: Path) -> Array:
    """Return the array of one IDX file in its own shape, native byte order.

    Raises:
        DataError: if the file is no IDX file, or shorter or longer than its header says.
    """
    try:
        with _open(path) as file:
            return _parse(file, str(path))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(str(path), f"is damaged: {error}", "fetch it again") from None
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror}") from None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _parse(file: BinaryIO, where: str) -> Array:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not magic[3]:
        raise DataError(
            where,
            f"is no IDX file: it begins with {magic.hex(' ') or 'nothing'}",
            "00 00, a type and the number of dimensions are expected",
        )
    sizes = file.read(4 * magic[3])
    shape = tuple(int(size) for size in np.frombuffer(sizes[: len(sizes) // 4 * 4], dtype=">u4"))
    dtype = np.dtype(_DTYPES[magic[2]])
    expected = math.prod(shape) * dtype.itemsize
    data = file.read(expected + 1) if len(shape) == magic[3] else b""
    if len(shape) < magic[3] or len(data) < expected:
        raise DataError(
            where, f"is cut off: {len(data)} bytes of {expected} for {shape}", "fetch it again"
        )
    if len(data) > expected:
        raise DataError(where, f"is longer than {shape} needs", "fetch it again")
    array = np.frombuffer(data, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _pair(folder: Path, split: str) -> tuple[Array, Array]:
    """Return images and labels of ``train`` or ``t10k``, checked against each other."""
    found = {kind: _find(folder, split, kind) for kind in ("images", "labels")}
    for kind, path in found.items():
        if path is None:
            name = f"{split}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
            raise DataError(str(folder), f"{name} is missing", f"expected {name} or {name}.gz")
    images = read_idx(cast(Path, found["images"]))
    labels = read_idx(cast(Path, found["labels"]))
    if images.ndim not in (3, 4):
        raise DataError(
            str(found["images"]),
            f"has {images.ndim} dimensions",
            "images have 3 (rows, height, width) or 4 (rows, channels, height, width)",
        )
    if labels.ndim != 1 or labels.dtype.kind == "f":
        raise DataError(
            str(found["labels"]), "is no list of integers", "labels have one dimension (rows)"
        )
    if len(images) != len(labels):
        raise DataError(
            str(folder),
            f"{split} has {len(images)} images and {len(labels)} labels",
            "the two files do not belong together",
        )
    x = images[:, None] if images.ndim == 3 else images
    return x, labels.astype(str).astype(object)


def _find(folder: Path, split: str, kind: str) -> Path | None:
    for end in ("", ".gz"):
        for joint in ("-", "."):
            for dimensions in (3, 4) if kind == "images" else (1,):
                path = folder / f"{split}-{kind}{joint}idx{dimensions}-ubyte{end}"
                if path.is_file():
                    return path
    return None
