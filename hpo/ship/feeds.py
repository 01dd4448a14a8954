"""From typed raw rows to the inputs of a model file, whole columns at a time; no torch."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hpo.errors import DataError
from hpo.ship.manifest import Manifest, TensorSpec
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array, as_frame, plain_moments
from lightning_modules.data.sequences import SequencePreparation, check_lengths, steps_of
from lightning_modules.data.target import NumberTarget
from lightning_modules.data.texts import TextPreparation
from lightning_modules.packaged.columns import MISSING, UNKNOWN

if TYPE_CHECKING:
    from hpo.predict.predictor import Raw

_EMPTY = "\0"
"""Given for a text that is empty, which would be a missing one: such a text no vocabulary has."""
_ONE_BY_ONE = 24
"""Columns, at most, that are taken one by one."""


def feeds_of(manifest: Manifest, raw: "Raw") -> dict[str, Array]:
    """Return the inputs of a model file by name, for rows as `Raw` describes them.

    Args:
        manifest: of the file.
        raw: at least one row.

    Raises:
        DataError: if the rows do not fit: a column is missing, a number infinite, images have
            another shape, a sequence too few steps.
    """
    return {spec.name: _MAKERS[spec.name](manifest, spec, raw) for spec in manifest.inputs}


def _numbers(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    values = _stacked(spec, raw, np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        row, place = np.unravel_index(int(infinite.argmax()), values.shape)
        what = f"column {_names(spec)[int(place)]!r} has an infinite number in row {row + 1}"
        raise DataError("data", what, "correct it, or leave it empty where it is unknown")
    preparation, target = manifest.fitted.preparation, manifest.fitted.target
    if isinstance(preparation, WindowPreparation) and isinstance(target, NumberTarget):
        target.apply(values[:, 0], name=preparation.target)  # refuses what has no logarithm
    return _shaped(values, spec)


def _texts(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    values = _stacked(spec, raw, object)
    values[values == ""] = _EMPTY
    values[pd.isna(values)] = ""
    return _shaped(values, spec)


def _codes(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    values = _stacked(spec, raw, object)
    codes = np.empty(values.shape, dtype=np.int64)
    for i, known in enumerate(manifest.vocabularies):
        texts = pd.Index(values[:, i], dtype=object)
        found = pd.Index(known, dtype=object).get_indexer(texts)
        codes[:, i] = np.where(texts.isna(), MISSING, np.where(found < 0, UNKNOWN, found))
    return _shaped(codes, spec)


def _moments(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    frame, names = _with_columns(spec, raw), _names(spec)
    seconds = np.empty((len(frame), len(names)), dtype=np.float64)
    for i, name in enumerate(names):
        moments = plain_moments(frame[name]).to_numpy()
        seconds[:, i] = np.where(np.isnat(moments), np.nan, moments.view(np.int64) / 1e6)
    return _shaped(seconds, spec)


def _images(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    images = np.asarray(raw)
    if images.shape[1:] != tuple(spec.shape):
        expected = ", ".join(map(str, ("rows", *spec.shape)))
        raise DataError("data", f"images have shape {images.shape}", f"expected ({expected})")
    if images.dtype.kind == "f":
        wrong = ~np.isfinite(images).reshape(len(images), -1).all(axis=1)
        if wrong.any():
            row = int(wrong.argmax()) + 1
            raise DataError("data", f"image {row} has a pixel that is NaN or infinite")
    return np.ascontiguousarray(images, dtype=np.float32)


def _sequences(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    rows, (n_steps, n_channels) = np.asarray(raw), spec.shape
    steps = steps_of(rows, "data", n_channels=n_channels)
    preparation = _of_sequences(manifest)
    least = preparation.difference + (1 if preparation.padded else preparation.length)
    check_lengths(steps.lengths, least, "data")
    values, _ = steps.padded(n_steps)
    return values


def _lengths(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    return np.array([len(row) for row in np.asarray(raw)], dtype=np.int64)


def _tokens(manifest: Manifest, spec: TensorSpec, raw: "Raw") -> Array:
    preparation = manifest.fitted.preparation
    if not isinstance(preparation, TextPreparation):
        raise TypeError("a model of texts has a preparation of texts")
    return preparation.apply(np.asarray(raw))


_MAKERS: Mapping[str, Callable[[Manifest, TensorSpec, "Raw"], Array]] = {
    "numbers": _numbers,
    "texts": _texts,
    "codes": _codes,
    "moments": _moments,
    "images": _images,
    "sequences": _sequences,
    "lengths": _lengths,
    "tokens": _tokens,
}


def _of_sequences(manifest: Manifest) -> SequencePreparation:
    preparation = manifest.fitted.preparation
    if not isinstance(preparation, SequencePreparation):
        raise TypeError("a model of sequences has a preparation of sequences")
    return preparation


def _names(spec: TensorSpec) -> list[str]:
    return spec.columns or []


def _with_columns(spec: TensorSpec, raw: "Raw") -> pd.DataFrame:
    """Return rows that have the columns of an input."""
    frame, names = as_frame(raw), _names(spec)
    missing = [name for name in names if name not in frame.columns]
    if missing:
        shown = ", ".join(map(repr, missing[:20]))
        raise DataError("data", f"columns missing: {shown}", f"expected: {', '.join(names[:20])}")
    return frame


def _stacked(spec: TensorSpec, raw: "Raw", dtype: type) -> Array:
    """Return the columns of an input in its order, ``(rows, columns)``, as an array of its own.

    Of pandas' ways each is the fastest for its number of columns: a few one by one.
    """
    frame, names = _with_columns(spec, raw), _names(spec)
    if len(names) > _ONE_BY_ONE:
        chosen = frame if frame.columns.tolist() == names else frame[names]
        return np.array(chosen.to_numpy(dtype=dtype), order="C")
    values: Array = np.empty((len(frame), len(names)), dtype=dtype)
    for i, name in enumerate(names):
        values[:, i] = frame[name].to_numpy()
    return values


def _shaped(values: Array, spec: TensorSpec) -> Array:
    """Return ``(rows, columns)``, of a series ``(rows, window, columns)``."""
    return values if len(spec.shape) == 1 else values.reshape(-1, *spec.shape)
