"""Arrays in a NumPy archive: features, sequences, images, texts, or a series. No pickles."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_modules.data.config import NpzConfig
from lightning_modules.data.csv_form import opening_error
from lightning_modules.data.frames import Array
from lightning_modules.data.kinds import ragged, raw_kind
from lightning_modules.data.raw import RawData
from lightning_modules.errors import DataError
from lightning_modules.registry import suggest

_DAMAGED = (
    ValueError,
    EOFError,
    TypeError,
    MemoryError,  # of a header that claims more than there is
    zipfile.BadZipFile,
    zlib.error,
)


def load_npz(config: NpzConfig) -> RawData:
    """Return the arrays of an archive; without inputs, a table of no columns.

    Raises:
        DataError: if the file is no archive of plain arrays, or damaged; the targets are missing,
            or one of ``x_test`` and ``y_test``; a shape is none that `raw_kind` knows; a setting
            has no effect on these arrays; or lengths do not fit the inputs.
    """
    where = config.path
    found = read_npz(Path(os.path.expanduser(where)), where)
    if config.y not in found:
        hint = suggest(config.y, list(found)) if found else "save one with numpy.savez(x=x, y=y)"
        raise DataError(where, f"data.y: no array {config.y!r}", hint)
    names = [f"{config.x}_test", f"{config.y}_test"]
    given = [name for name in names if name in found]
    if len(given) == 1:
        missing = next(name for name in names if name not in given)
        raise DataError(where, f"has {given[0]!r}, but no {missing!r}", "give both or none")
    if given and config.test is not None:
        what = f"{names[0]!r} is the test split: data.test {config.test} would have no effect"
        raise DataError(where, what, "set data.test: null")
    test = None
    if given:
        test = (_inputs(found, config, f"{config.lengths}_test", names[0]), found[names[1]])
    return RawData(
        x=_inputs(found, config, config.lengths, config.x),
        y=found[config.y],
        where=where,
        official_test=test,
    )


def read_npz(path: Path, where: str) -> dict[str, Array]:
    """Return all arrays of an archive by name.

    Raises:
        DataError: if it cannot be read, is no archive, damaged, or needs pickles.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                hint = "save it with numpy.savez(x=x, y=y)"
                raise DataError(where, "holds one array, no archive", hint)
            return {name: np.asarray(archive[name]) for name in archive.files}
    except OSError as error:
        raise opening_error(path, error, where) from None
    except _DAMAGED as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        hint = "save plain arrays with numpy.savez(x=x, y=y)"
        raise DataError(where, f"cannot be read: {first}", hint) from None


def _inputs(
    found: Mapping[str, Array], config: NpzConfig, lengths: str, name: str
) -> pd.DataFrame | Array:
    if name not in found:
        if name != "x":
            hint = suggest(name, list(found))
            raise DataError(config.path, f"data.x: no array {name!r}", hint)
        return pd.DataFrame(index=range(len(found[config.y])))
    return as_inputs(found[name], config, found.get(lengths), f"{config.path}: {name}")


def as_inputs(x: Array, config: NpzConfig, lengths: Array | None, where: str) -> Array:
    """Return an array as the rows that ``config`` says it holds.

    Args:
        x: as it was saved.
        config: how to read it.
        lengths: how many steps of each sequence are real, ``(rows,)``; None for all.
        where: begins the errors.

    Raises:
        DataError: if it is none of the kinds that `raw_kind` knows; ``data.sequences`` has no
            effect on it; or the lengths do not fit.
    """
    if config.sequences and (x.ndim != 2 or x.dtype.kind not in "biuf"):
        what = f"data.sequences has no effect on {x.dtype} of shape {x.shape}"
        raise DataError(where, what, "it is for numbers (rows, steps); remove this setting")
    rows = x[..., None] if config.sequences else x
    kind = raw_kind(rows, where)
    if lengths is not None:
        if kind != "sequence":
            hint = "they are for sequences (rows, steps, channels): see data.sequences"
            raise DataError(where, f"has lengths, but shape {x.shape}", hint)
        return _cut(rows, lengths, where)
    return rows.astype(object) if kind == "text" else rows


def _cut(x: Array, lengths: Array, where: str) -> Array:
    if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
        what = f"lengths are {lengths.dtype} of shape {lengths.shape}"
        raise DataError(where, what, f"expected whole numbers of shape ({len(x)},)")
    wrong = (lengths < 1) | (lengths > x.shape[1])
    if wrong.any():
        row = int(wrong.argmax())
        what = f"row {row + 1} has {lengths[row]} steps"
        raise DataError(where, what, f"lengths must be between 1 and {x.shape[1]}")
    return ragged(row[:length] for row, length in zip(x, lengths, strict=True))
