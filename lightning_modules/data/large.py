"""Arrays that may be larger than memory: in files without a name, gone with the last user."""

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lightning_modules.data.frames import Array
from lightning_modules.durable import full_disk

LARGE_BYTES = 2**28
"""From this size on an array lies in a file; the system keeps as much of it in memory as fits."""

_folder: ContextVar[Path | None] = ContextVar("folder of large arrays", default=None)


@contextmanager
def large_arrays_in(folder: Path) -> Iterator[None]:
    """Have the files of large arrays made in ``folder`` and not where temporary files are."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Return an array to be filled, in memory or, if it is large, in a file.

    Raises:
        TrialFailed: reason ``disk`` if there is no room for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < LARGE_BYTES:
        return np.empty(shape, dtype)
    folder = _folder.get() or _temporary()
    with full_disk("a large array"), tempfile.TemporaryFile(dir=folder) as file:
        _make_room(file.fileno(), size)
        return np.ndarray(shape, dtype, buffer=mmap.mmap(file.fileno(), size))


def chosen(array: Array, rows: npt.NDArray[np.int64]) -> Array:
    """Return a copy of some rows, as ``array[rows]``, that may be large."""
    if array.dtype.hasobject:
        return np.asarray(array[rows])
    out = empty((len(rows), *array.shape[1:]), array.dtype)
    return np.take(array, rows, axis=0, out=out, mode="clip")  # raise would copy it all once more


def _temporary() -> Path:
    """Return where temporary files may be large, which /tmp, often in memory, is not for."""
    chosen_by_user = os.environ.get("TMPDIR")
    if chosen_by_user is None and os.access("/var/tmp", os.W_OK):
        return Path("/var/tmp")
    return Path(chosen_by_user or tempfile.gettempdir())


def _make_room(handle: int, size: int) -> None:
    """Make a file as long as that, and its place on the disk sure: a mapping cannot report it."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.truncate(handle, size)
