"""Drift: how the training rows spread over bins, and how far recent rows are from that.

The measure is the population stability index (PSI), over bins the sum of
``(recent - trained) * ln(recent / trained)``. Below 0.1 is taken for no change, up to 0.25 for a
small one, above for a large one (N. Siddiqi, Credit Risk Scorecards, Wiley 2006). Without any
change it is about ``(1 / n + 1 / m)`` times a chi-squared number of ``bins - 1`` degrees of
freedom, for n recent and m training rows (B. Yurdakul, Statistical Properties of Population
Stability Index, Western Michigan University 2018): so few rows have few bins.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo.ship.manifest import Shares, Statistics
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array, as_frame, plain_moments
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import SequencePreparation, steps_of
from lightning_modules.data.texts import PADDING, UNKNOWN

if TYPE_CHECKING:
    from hpo.predict.predictor import Answers, Raw

NOTICE, ALERT = 0.1, 0.2
"""From the first on a change is worth a look, above the second it is worth an alert."""
LEAST_ROWS = 300
"""Fewer recent rows say nothing."""
MOST_BINS = 10
MOST_QUANTITIES = 500
"""Columns beyond are not watched."""
_CHANCE = 3.09
"""An unchanged quantity stays below the alert in 999 of 1,000 windows of `LEAST_ROWS`."""
_IMAGES = 2048
"""Images that are float32 at a time."""

Counts = npt.NDArray[np.int64]


def quantities_of(fitted: Fitted, raw: "Raw") -> dict[str, Array]:
    """Return what is watched of raw rows: by name ``(rows,)`` numbers, or text as objects.

    Of a table each column (of moments seconds since 1970), of a series the last step of each row's
    columns; of images mean and standard deviation of the pixels; of sequences length and mean of
    each channel; of texts the number of tokens, and the share of those that training never saw.
    """
    preparation = fitted.preparation
    if isinstance(preparation, WindowPreparation):
        last = as_frame(raw).iloc[preparation.window - 1 :: preparation.window]
        names = [preparation.target, *(column.name for column in preparation.others.columns)]
        return {name: _plain(last[name]) for name in names[:MOST_QUANTITIES]}
    if preparation.kind == "table":
        frame = as_frame(raw)
        columns = preparation.columns[:MOST_QUANTITIES]
        return {column.name: _plain(frame[column.name]) for column in columns}
    rows = np.asarray(raw)
    if isinstance(preparation, ImagePreparation):
        return of_images(rows)
    if isinstance(preparation, SequencePreparation):
        steps = steps_of(rows, "data", n_channels=len(preparation.channels))
        values, _ = steps.padded(preparation.length + preparation.difference)
        return of_sequences(values, steps.lengths)
    return of_tokens(preparation.apply(rows))


def of_images(images: Array) -> dict[str, Array]:
    """Return what is watched of images ``(rows, channels, height, width)``."""
    flat = images.reshape(len(images), -1)
    mean, sd = np.empty(len(flat)), np.empty(len(flat))
    for start in range(0, len(flat), _IMAGES):
        rows = slice(start, start + _IMAGES)
        pixels = flat[rows].astype(np.float32, copy=False)
        mean[rows] = pixels.mean(axis=1)
        apart = pixels - mean[rows, None].astype(np.float32)
        sd[rows] = np.sqrt(np.einsum("ij,ij->i", apart, apart) / flat.shape[1])
    return {"mean of pixels": mean, "sd of pixels": sd}


def of_sequences(values: Array, lengths: Array) -> dict[str, Array]:
    """Return what is watched of sequences ``(rows, steps, channels)``, real up to their lengths.

    Steps behind the last one that a model looks at are cut off, and count in no length.
    """
    lengths = np.minimum(lengths, values.shape[1])
    real = np.arange(values.shape[1])[:, None] < lengths[:, None, None]
    known = real & ~np.isnan(values)
    totals, counts = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    means = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    channels = min(means.shape[1], MOST_QUANTITIES - 1)
    found: dict[str, Array] = {"length": lengths.astype(np.float64)}
    return found | {f"mean of channel {i + 1}": means[:, i] for i in range(channels)}


def of_tokens(tokens: Array) -> dict[str, Array]:
    """Return what is watched of token numbers ``(rows, length)``."""
    n_tokens = (tokens != PADDING).sum(axis=1).astype(np.float64)
    unknown = (tokens == UNKNOWN).sum(axis=1) / np.maximum(n_tokens, 1)
    return {"tokens": n_tokens, "share of unknown tokens": unknown}


def predictions_of(outputs: Array, answers: "Answers") -> dict[str, Array]:
    """Return what is watched of predictions, as `quantities_of` returns it of rows.

    Of classes the predicted one and its probability; of labels the probability of each; of numbers
    each number.
    """
    if answers.classes is not None:
        names = np.array([*answers.classes, None], dtype=object)
        likely = outputs.argmax(axis=1)
        return {"prediction": names[likely], "confidence": outputs.max(axis=1).astype(np.float64)}
    values = outputs.reshape(len(outputs), -1).astype(np.float64)
    if answers.target_names is not None:
        words = answers.target_names
    elif values.shape[1] == 1:
        words = ["prediction"]
    else:
        words = [f"step {i + 1}" for i in range(values.shape[1])]
    return {name: values[:, i] for i, name in enumerate(words[:MOST_QUANTITIES])}


def statistics_of(
    quantities: Mapping[str, Array], outputs: Array, answers: "Answers"
) -> Statistics:
    """Return how training rows, and what is predicted of them, spread.

    Args:
        quantities: of the rows, from `quantities_of`.
        outputs: of the predictor for the same rows.
        answers: what it says of a row.
    """
    predicted = predictions_of(outputs, answers)
    return Statistics(
        n_rows=len(outputs),
        inputs=[shares_of(name, values) for name, values in quantities.items()],
        predictions=[shares_of(name, values) for name, values in predicted.items()],
    )


def shares_of(name: str, values: Array) -> Shares:
    """Return how the values of a quantity spread over bins that suit their number."""
    most = bins_for(len(values))
    edges: list[float] | None = None
    texts: list[str] | None = None
    if values.dtype == object:
        counts = Counter(text for text in values.tolist() if text is not None)
        order = sorted(counts, key=lambda text: (-counts[text], text))
        texts = order[: most - 1] if len(order) > most else order
    else:
        known = values[~np.isnan(values)]
        places = np.arange(1, most) / most
        if len(known):
            known = np.quantile(known, places, method="inverted_cdf")
        edges = np.unique(known.astype(np.float64)).tolist()
    empty = Shares(name=name, edges=edges, values=texts, shares=[])
    counted = counts_of(empty, values)
    return empty.model_copy(update={"shares": (counted / max(len(values), 1)).tolist()})


def bins_for(n_rows: int) -> int:
    """Return how many bins the chance in so many training rows allows, 2 to `MOST_BINS`.

    >>> bins_for(100_000), bins_for(341), bins_for(150), bins_for(90)
    (10, 10, 5, 2)
    """
    allowed = ALERT / (1 / LEAST_ROWS + 1 / max(n_rows, 1))
    fitting = [bins for bins in range(2, MOST_BINS + 1) if _chi_squared(bins - 1) <= allowed]
    return max(fitting, default=2)


def bin_count(shares: Shares) -> int:
    """Return how many bins there are, that of the missing values included.

    >>> bin_count(Shares(name="a", edges=[0.0, 1.0], shares=[]))
    4
    """
    return 2 + len(shares.edges if shares.edges is not None else shares.values or [])


def bins_of(shares: Shares, values: Array) -> Counts:
    """Return the number of each value's bin, ``(rows,)``.

    >>> bins_of(Shares(name="a", edges=[0.0, 1.0], shares=[]), np.array([0, 0.5, 2, np.nan]))
    array([0, 1, 2, 3])
    """
    missing = bin_count(shares) - 1
    if shares.edges is not None:
        numbers = np.asarray(values, dtype=np.float64)
        places = np.searchsorted(np.asarray(shares.edges), numbers, side="left")
        return np.where(np.isnan(numbers), missing, places).astype(np.int64)
    known: dict[object, int] = {text: i for i, text in enumerate(shares.values or [])}
    known[None] = missing
    return np.array([known.get(text, missing - 1) for text in values.tolist()], dtype=np.int64)


def counts_of(shares: Shares, values: Array) -> Counts:
    """Return how many values each bin holds, ``(bins,)``."""
    return np.bincount(bins_of(shares, values), minlength=bin_count(shares)).astype(np.int64)


def psi(expected: Shares, counts: "npt.ArrayLike") -> float:
    """Return how far recent rows are from the training rows; NaN where there are too few.

    A bin without rows counts as half a row, in both.

    >>> trained = Shares(name="a", edges=[0.0], shares=[0.5, 0.5, 0.0])
    >>> psi(trained, [500, 500, 0]), round(psi(trained, [900, 100, 0]), 2), psi(trained, [9, 9, 0])
    (0.0, 0.88, nan)
    """
    counted = np.asarray(counts, dtype=np.float64)
    n_rows = float(counted.sum())
    if n_rows < LEAST_ROWS:
        return float("nan")
    least = 0.5 / n_rows
    recent = np.maximum(counted / n_rows, least)
    trained = np.maximum(np.asarray(expected.shares), least)
    return float(((recent - trained) * np.log(recent / trained)).sum())


def _chi_squared(freedom: int) -> float:
    """Return what a chi-squared number exceeds once in 1,000 times (Wilson and Hilferty)."""
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + _CHANCE * part**0.5) ** 3)


def _plain(column: "pd.Series[Any]") -> Array:
    """Return a column of raw rows as numbers, or as text, None where it is missing."""
    if column.dtype.kind == "M":
        moments = plain_moments(column)
        seconds = moments.to_numpy().astype(np.int64) / 1e6
        return np.where(moments.isna(), np.nan, seconds)
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64)
    texts = column.astype(object)
    return texts.where(texts.notna(), None).to_numpy()
