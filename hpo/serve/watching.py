"""The last rows that were predicted, as counts in the bins of the training rows."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hpo.predict.onnx_file import answers_of
from hpo.serve.tally import BINS, Part
from hpo.ship.drift import (
    bin_count,
    bins_of,
    of_images,
    of_sequences,
    of_tokens,
    predictions_of,
)
from hpo.ship.manifest import Manifest, Shares
from lightning_modules.data.frames import Array

WINDOW = 2000
"""Rows of one worker that drift is measured by."""
_AT_A_TIME = 500
"""Rows that are counted once a second: of more, what counting costs would be felt."""
_TABLE = ("numbers", "texts", "moments")
_DONE = object()
_OUTPUTS = "\0outputs"
"""No column is called so."""

Feeds = Mapping[str, Array]


class Watching:
    """Watches rows as they pass; they are counted once a second, not while a request waits.

    Of faster traffic the first rows of each second are counted: what is kept is bounded.
    """

    def __init__(self, manifest: Manifest, part: Part) -> None:
        self._columns = {spec.name: spec.columns or [] for spec in manifest.inputs}
        self._answers = answers_of(manifest)
        self._inputs = _Ring(manifest.statistics.inputs, part["watched_inputs"])
        self._predictions = _Ring(manifest.statistics.predictions, part["watched_predictions"])
        self._part = part
        self._pending: list[dict[str, Array]] = []
        self._n_pending = 0
        self._counting: Iterator[None] | None = None

    def saw(self, feeds: Feeds, outputs: Array) -> None:
        """Keep what is watched of rows and of their predictions."""
        if self._n_pending < _AT_A_TIME:
            self._pending.append({**_watched_of(feeds), _OUTPUTS: outputs})
            self._n_pending += len(outputs)

    def count(self) -> None:
        """Count the rows that were kept."""
        while self.count_on() or self._pending:
            pass

    def count_on(self) -> bool:
        """Count one quantity of the rows that were kept; return whether there may be more.

        All of them at once would keep a request waiting that comes meanwhile.
        """
        if self._counting is None and self._pending:
            self._counting = self._counted()
        if self._counting is None:
            return False
        if next(self._counting, _DONE) is _DONE:
            self._counting = None
        return self._counting is not None

    def _counted(self) -> Iterator[None]:
        """Count what was kept so far, with a stop after each quantity."""
        kept, self._pending, self._n_pending = self._pending, [], 0
        joined = {name: np.concatenate([rows[name] for rows in kept])[-WINDOW:] for name in kept[0]}
        outputs = joined.pop(_OUTPUTS)
        yield
        yield from self._inputs.add(_by_column(joined, self._columns))
        yield from self._predictions.add(predictions_of(outputs, self._answers))
        self._part["watched_rows"][0] = min(self._part["watched_rows"][0] + len(outputs), WINDOW)


def quantities_in(feeds: Feeds, columns: Mapping[str, Sequence[str]]) -> dict[str, Array]:
    """Return what is watched of a model's inputs, as `hpo.ship.drift.quantities_of` of raw rows.

    Args:
        feeds: the inputs.
        columns: the names of the columns of each, of a table or series.
    """
    return _by_column(_watched_of(feeds), columns)


def _watched_of(feeds: Feeds) -> dict[str, Array]:
    """Return little of a model's inputs: of images, sequences and texts what is watched of them."""
    if "images" in feeds:
        return of_images(feeds["images"])
    if "tokens" in feeds:
        return of_tokens(feeds["tokens"])
    if "sequences" in feeds:
        values = feeds["sequences"]
        whole = np.full(len(values), values.shape[1])
        return of_sequences(values, feeds.get("lengths", whole))
    blocks = {kind: feeds[kind] for kind in _TABLE if kind in feeds}
    return {kind: block if block.ndim == 2 else block[:, -1] for kind, block in blocks.items()}


def _by_column(blocks: Feeds, columns: Mapping[str, Sequence[str]]) -> dict[str, Array]:
    """Return the columns of a table by name; other quantities have their names already."""
    found: dict[str, Array] = {}
    for kind, block in blocks.items():
        if kind in _TABLE and block.ndim == 2:
            found |= {name: block[:, i] for i, name in enumerate(columns[kind])}
        else:
            found[kind] = block
    return found


class _Ring:
    """The bins of the last rows, one column for each quantity, and how often each bin occurs."""

    def __init__(self, expected: Sequence[Shares], counts: npt.NDArray[np.float64]) -> None:
        fitting = enumerate(expected[: len(counts)])
        self._watched = [(i, shares) for i, shares in fitting if bin_count(shares) <= BINS]
        self._counts = counts
        self._bins = np.full((WINDOW, len(self._watched)), -1, dtype=np.int16)
        self._at = 0

    def add(self, quantities: Mapping[str, Array]) -> Iterator[None]:
        """Take rows in, and as many of the oldest out where there is no more room."""
        n_rows = len(next(iter(quantities.values()), ()))
        if not n_rows:
            return
        places = (self._at + np.arange(n_rows)) % WINDOW
        for column, (i, shares) in enumerate(self._watched):
            values = quantities.get(shares.name)
            if values is None:
                continue
            new, old = bins_of(shares, _plain(values)), self._bins[places, column]
            gone = np.bincount(old[old >= 0], minlength=BINS)
            self._counts[i] += np.bincount(new, minlength=BINS) - gone
            self._bins[places, column] = new
            yield
        self._at = (self._at + n_rows) % WINDOW


def _plain(values: Array) -> Array:
    """Return texts with None for the empty ones: in a model's inputs those are missing."""
    if values.dtype.kind not in "OU":
        return values
    return np.array([text or None for text in values.tolist()], dtype=object)
