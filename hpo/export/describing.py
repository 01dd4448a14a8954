"""What a model was trained on and takes, in words: columns, ranges, what becomes of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpo.export.markdown import listed, plain, table
from hpo.predict.predictor import Raw
from hpo.ship.drift import quantities_of
from hpo.ship.manifest import Manifest
from lightning_modules.data.columns import CategoryColumn, Column, DateColumn, NumericColumn
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import as_frame
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import SequencePreparation
from lightning_modules.data.texts import TextPreparation
from lightning_modules.packaged.columns import table_of

_MOST = 200
"""Columns of a table that the card lists."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the training rows held in one column, or in one quantity of other rows."""

    name: str
    held: str
    """The range of numbers and dates, or the categories."""
    missing: float
    """The share of the rows in which it is missing."""


def seen_of(fitted: Fitted, raw: Raw) -> list[Seen]:
    """Return what training rows held.

    Args:
        fitted: with the model.
        raw: rows of the training split.
    """
    preparation, columns = fitted.preparation, table_of(fitted.preparation)
    if columns is None:
        return [_quantity(name, values) for name, values in quantities_of(fitted, raw).items()]
    frame = as_frame(raw)
    found = [_column(column, frame[column.name]) for column in columns.columns[:_MOST]]
    if isinstance(preparation, WindowPreparation):
        values = frame[preparation.target].to_numpy(dtype=np.float64)
        found.insert(0, _quantity(preparation.target, values))
    return found


def columns_table(manifest: Manifest, seen: Sequence[Seen], *, n_train: int) -> str:
    """Return what training rows held, and what stands in for what is missing."""
    known, n_seen = table_of(manifest.fitted.preparation), manifest.statistics.n_rows
    some = f"{n_seen:,} " if n_seen < n_train else ""
    held = f"in {some}training rows"
    if known is None:
        return table(("quantity", held), [[plain(s.name), s.held] for s in seen])
    by_name = {column.name: column for column in known.columns}
    rows = [
        [plain(one.name), one.held, f"{one.missing:.1%}", _stands_in(by_name.get(one.name))]
        for one in seen
    ]
    more = len(by_name) - _MOST
    rest = f"\n\n… and {more} columns more." if more > 0 else ""
    return table(("column", held, "missing", "if missing"), rows) + rest


def input_words(manifest: Manifest) -> str:
    """Return the inputs and outputs of the file."""
    rows = [
        [f"`{one.name}`", one.dtype, f"({', '.join(map(str, ('rows', *one.shape)))})", way]
        for way, specs in (("in", manifest.inputs), ("out", manifest.outputs))
        for one in specs
    ]
    notes = "".join(f"\n- {note}" for note in manifest.notes)
    return table(("name", "type", "shape", ""), rows) + (f"\n{notes}" if notes else "")


def limit_words(manifest: Manifest, n_train: int) -> str:
    """Return where the model ends, one line each."""
    preparation = manifest.fitted.preparation
    known = table_of(preparation)
    lines = [f"It learned from {n_train:,} rows; what they do not show it cannot know."]
    if known is not None:
        lines += _limits_of(known.columns)
    if isinstance(preparation, SequencePreparation):
        n_steps = preparation.length + preparation.difference
        lines.append(f"Of a sequence it sees the first {n_steps} steps.")
    if isinstance(preparation, TextPreparation):
        n_words = len(preparation.vocabulary)
        lines.append(
            f"Of a text it sees the first {preparation.length} tokens; tokens beyond the "
            f"{n_words:,} of its vocabulary are one and the same to it."
        )
    if isinstance(preparation, WindowPreparation):
        lines.append(
            f"It looks at the last {preparation.window} steps and predicts the next "
            f"{preparation.horizon}; the steps are taken to follow each other as in training."
        )
    if isinstance(preparation, ImagePreparation):
        shape = " × ".join(map(str, manifest.fitted.input_shape))
        lines.append(f"Images are {shape} (channels, height, width), with pixels as in training.")
    lines.append(
        "It was not examined for how it treats groups of people, nor on data of another origin; "
        "watch what it is given (hpo serve does), and train it again when that changes."
    )
    return "\n".join(f"- {line}" for line in lines)


def _limits_of(columns: Sequence[Column]) -> list[str]:
    texts = [column for column in columns if isinstance(column, CategoryColumn)]
    numbers = [column for column in columns if isinstance(column, NumericColumn)]
    lines = []
    other = [column.name for column in texts if column.other]
    unknown = [column.name for column in texts if not column.other]
    if unknown:
        lines.append(f"A category that training never saw is as none at all: {listed(unknown)}.")
    if other:
        lines.append(f"Rare and unknown categories are taken together: {listed(other)}.")
    clipped = [column.name for column in numbers if column.clip is not None]
    curved = [column.name for column in numbers if column.curve is not None]
    free = [one.name for one in numbers if one.clip is None and one.curve is None]
    if clipped:
        lines.append(f"Numbers beyond the training rows become the nearest end: {listed(clipped)}.")
    if curved and not clipped:
        lines.append(f"Numbers beyond the training rows count as the end: {listed(curved)}.")
    if free:
        what = "Numbers far beyond the training rows are taken as they are, and answers there mean"
        lines.append(f"{what} little: {listed(free)}.")
    return lines


def _stands_in(column: Column | None) -> str:
    """Return what a missing value of a column becomes."""
    if isinstance(column, NumericColumn):
        said = f"{column.fill:.6g}"
    elif isinstance(column, CategoryColumn):
        said = plain(column.fill)
    elif isinstance(column, DateColumn):
        said = "what stands in for each of its parts"
    else:
        return ""
    return f"{said}, and marked as missing" if column.indicator else said


def _column(column: Column, values: "pd.Series[Any]") -> Seen:
    missing = float(values.isna().mean())
    if isinstance(column, CategoryColumn):
        n_known = len(column.categories)
        words = f"{n_known} categories: " if n_known > 5 else ""
        return Seen(name=column.name, held=words + listed(column.categories, 12), missing=missing)
    if isinstance(column, DateColumn):
        known = values.dropna()
        ends = "" if not len(known) else f"{known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}"
        return Seen(name=column.name, held=ends, missing=missing)
    return _quantity(column.name, values.to_numpy(dtype=np.float64))


def _quantity(name: str, values: Any) -> Seen:
    known = values[~np.isnan(values)]
    held = ""
    if len(known):
        low, middle, high = np.quantile(known, [0.0, 0.5, 1.0])
        held = f"{low:.6g} to {high:.6g}, median {middle:.6g}"
    return Seen(name=name, held=held, missing=1 - len(known) / max(len(values), 1))
