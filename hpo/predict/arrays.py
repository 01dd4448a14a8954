"""New rows in NumPy files, as training saw them: for predictions."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from hpo.errors import DataError
from hpo.predict.rows import listed
from lightning_modules.config import RunConfig
from lightning_modules.data.columns import NumericColumn
from lightning_modules.data.config import NpzConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.frames import Array, as_frame
from lightning_modules.data.kinds import raw_kind
from lightning_modules.data.npz import as_inputs, read_npz
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.texts import TextPreparation

_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    MemoryError,  # of a header that claims more than there is
    zipfile.BadZipFile,
    zlib.error,
)


def array_pieces(
    config: RunConfig, fitted: Fitted, path: Path, *, n_values: int
) -> Iterator[Array]:
    """Yield prepared rows of an array; that of a ``.npy`` file stays on disk.

    Args:
        config: of the run.
        fitted: with the model.
        path: a ``.npy`` or ``.npz`` file.
        n_values: how many values may be in memory at a time; sequences and texts are at once.

    Raises:
        DataError: if the file is no array, or its rows do not fit the model.
    """
    where, preparation = str(path), fitted.preparation
    if isinstance(preparation, SequencePreparation | TextPreparation):
        yield preparation.apply(_rows_of(config, preparation, path))
        return
    array = _array_of(path, where)
    shape = tuple(fitted.input_shape)
    names: list[str] = []
    if isinstance(preparation, TablePreparation):
        names = [column.name for column in preparation.columns]
        text = [c.name for c in preparation.columns if not isinstance(c, NumericColumn)]
        if text:
            hint = f"give a CSV file with the columns: {listed(names)}"
            raise DataError(where, f"column {text[0]!r} is no number, an array has numbers", hint)
        shape = (len(names),)
    flat = (int(np.prod(shape)),)
    if array.shape[1:] not in (shape, flat) or not len(array) or array.dtype.kind not in "biuf":
        expected = ", ".join(map(str, ("rows", *shape)))
        what = f"holds {array.dtype} of shape {array.shape}"
        raise DataError(where, what, f"expected numbers of shape ({expected}), a row at least")
    step = max(n_values // flat[0], 1)
    for start in range(0, len(array), step):
        piece = np.array(array[start : start + step])
        wrong = np.isinf(piece) if names else ~np.isfinite(piece)
        if wrong.any():
            row = start + int(wrong.reshape(len(piece), -1).any(axis=1).argmax()) + 1
            raise DataError(where, f"row {row} has a value that is NaN or infinite", "correct it")
        yield _prepared(fitted, piece.reshape(-1, *shape), names)


def series_frame(config: RunConfig, target: str, path: Path) -> pd.DataFrame:
    """Return a series in an archive as columns: the target, and x0, x1, … beside it.

    Raises:
        DataError: if the file is no archive, or the series is missing.
    """
    where, names = str(path), _names_in(config, str(path))
    found = read_npz(path, where)
    if names.y not in found or found[names.y].ndim != 1:
        raise DataError(where, f"holds no series {names.y!r}", f"save one: numpy.savez({names.y}=…")
    columns = {target: pd.Series(found[names.y])}
    if names.x in found:
        others = as_frame(found[names.x])
        columns |= {str(name): others[name] for name in others.columns}
    return pd.DataFrame(columns)


def _prepared(fitted: Fitted, rows: Array, names: list[str]) -> Array:
    preparation = fitted.preparation
    if isinstance(preparation, TablePreparation):
        return preparation.apply(pd.DataFrame(rows.astype(np.float64), columns=names))
    if preparation.kind != "image":
        raise TypeError("sequences, texts and series are read elsewhere")
    return preparation.apply(rows)


def _names_in(config: RunConfig, where: str) -> NpzConfig:
    """Return how the arrays in an archive are called: as in training's, if that was one."""
    return config.data if isinstance(config.data, NpzConfig) else NpzConfig(path=where)


def _rows_of(
    config: RunConfig, preparation: SequencePreparation | TextPreparation, path: Path
) -> Array:
    """Return sequences or texts as they were saved."""
    where, names, lengths = str(path), _names_in(config, str(path)), None
    if path.suffix.lower() == ".npy":
        x = _array_of(path, where)
    else:
        found = read_npz(path, where)
        if not found:
            raise DataError(where, "holds no array", "save one with numpy.savez")
        x, lengths = found.get(names.x, next(iter(found.values()))), found.get(names.lengths)
    if isinstance(preparation, SequencePreparation) and len(preparation.channels) == 1:
        names = names.model_copy(update={"sequences": x.ndim == 2})
    rows = as_inputs(np.asarray(x), names, lengths, where)
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
