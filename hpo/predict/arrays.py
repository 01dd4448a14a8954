"""New rows in NumPy files, with the types of training."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from hpo.errors import DataError
from hpo.predict.header import check_columns
from hpo.predict.pieces import VALUES, Piece
from hpo.predict.predictor import Inputs
from hpo.predict.typed import typed_array, typed_frame
from lightning_modules.data.config import NpzConfig
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array, as_frame
from lightning_modules.data.kinds import raw_kind
from lightning_modules.data.npz import as_inputs, read_npz
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.texts import TextPreparation

SUFFIXES = (".npy", ".npz")
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    MemoryError,  # of a header that claims more than there is
    zipfile.BadZipFile,
    zlib.error,
)


def array_pieces(inputs: Inputs, path: Path) -> Iterator[Piece]:
    """Yield rows of an array; that of a ``.npy`` file stays on disk. Of a series its last window.

    Raises:
        DataError: if the file is no array, or its rows do not fit the model.
    """
    where, preparation = str(path), inputs.fitted.preparation
    if isinstance(preparation, WindowPreparation):
        frame = _series(inputs, preparation.target, path)
        check_columns(inputs, list(frame.columns), where)
        yield Piece(raw=typed_frame(inputs, frame, where))
        return
    if isinstance(preparation, SequencePreparation | TextPreparation):
        array = _rows_of(inputs, preparation, path)
    else:
        array = _array_of(path, where)
    if not array.ndim or not len(array):
        what = f"holds {array.dtype} of shape {array.shape}"
        raise DataError(where, what, "give a row at least")
    step = max(VALUES // _row_values(array), 1)
    for start in range(0, len(array), step):
        stop = min(start + step, len(array))
        raw = typed_array(inputs, array[start:stop], where, done=start)
        yield Piece(raw=raw, share=stop / len(array))


def _row_values(array: Array) -> int:
    """Return about how many values a row has."""
    if array.dtype == object:
        return max(max((np.size(row) for row in array[:100]), default=1), 1)
    return max(int(np.prod(array.shape[1:])), 1)


def _series(inputs: Inputs, target: str, path: Path) -> pd.DataFrame:
    """Return a series in an archive as columns: the target, and x0, x1, … beside it."""
    where, names = str(path), _names_in(inputs, str(path))
    found = read_npz(path, where)
    if names.y not in found or found[names.y].ndim != 1:
        raise DataError(where, f"holds no series {names.y!r}", f"save one: numpy.savez({names.y}=…")
    columns = {target: pd.Series(found[names.y])}
    if names.x in found:
        others = as_frame(found[names.x])
        columns |= {str(name): others[name] for name in others.columns}
    return pd.DataFrame(columns)


def _names_in(inputs: Inputs, where: str) -> NpzConfig:
    """Return how the arrays in an archive are called: as in training's, if that was one."""
    return inputs.data if isinstance(inputs.data, NpzConfig) else NpzConfig(path=where)


def _rows_of(
    inputs: Inputs, preparation: SequencePreparation | TextPreparation, path: Path
) -> Array:
    """Return sequences or texts as they were saved."""
    where, names, lengths = str(path), _names_in(inputs, str(path)), None
    if path.suffix.lower() == ".npy":
        x = _array_of(path, where)
    else:
        found = read_npz(path, where)
        if not found:
            raise DataError(where, "holds no array", "save one with numpy.savez")
        x, lengths = found.get(names.x, next(iter(found.values()))), found.get(names.lengths)
    if isinstance(preparation, SequencePreparation) and len(preparation.channels) == 1:
        names = names.model_copy(update={"sequences": x.ndim == 2})
    rows = as_inputs(x, names, lengths, where)
    if raw_kind(rows, where) != preparation.kind:
        what = f"holds {x.dtype} of shape {x.shape}, but the model takes {preparation.kind}"
        raise DataError(where, what, "give rows such as it was trained on")
    return rows


def _array_of(path: Path, where: str) -> Array:
    if not path.is_file():
        raise DataError(where, "there is no such file", f"looked in {path.resolve().parent}")
    try:
        if path.suffix.lower() == ".npy":
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not archive.files:
                raise DataError(where, "holds no array", "save one with numpy.savez")
            return np.asarray(archive[archive.files[0]])
    except _DAMAGED as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(where, f"is no array ({first})", "save it with numpy.save") from None
