"""A model that is served: opened, checked, warmed up, and how long a call of it takes."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hpo.errors import UsageError
from hpo.predict.onnx_file import OnnxPredictor
from hpo.predict.predictor import Floats
from hpo.serve.watching import Feeds
from hpo.ship.manifest import Manifest, TensorSpec
from hpo.ship.seal import read_model
from lightning_modules.data.frames import Array

_VALUES = 65_536
"""Values of the inputs in one call: with more, what is computed of them leaves the cache."""
_LEAST_ROWS, _MOST_ROWS = 16, 1024
_WARM_ROWS = (1, 64)
_ROUNDS = 3
_DTYPES = {"float64": np.float64, "float32": np.float32, "int64": np.int64}


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model file that answers."""

    predictor: OnnxPredictor
    sha256: str
    """Of the file."""
    rows_at_once: int
    """Rows of one call of onnxruntime."""
    seconds: tuple[float, float]
    """Of a call of no rows, and of each row more."""

    @property
    def manifest(self) -> Manifest:
        """What it predicts, from which rows."""
        return self.predictor.manifest

    def run(self, feeds: Feeds) -> Floats:
        """Return what it says of rows, any number of them."""
        n_rows = rows_of(feeds)
        if n_rows <= self.rows_at_once:
            found: Floats = self.predictor.session.run(None, feeds)[0]
            return found
        step = self.rows_at_once
        parts = [
            self.predictor.session.run(None, {k: v[at : at + step] for k, v in feeds.items()})[0]
            for at in range(0, n_rows, step)
        ]
        return np.concatenate(parts)

    def expected_seconds(self, n_rows: int) -> float:
        """Return how long a call may take."""
        return self.seconds[0] + n_rows * self.seconds[1]


def load_model(path: Path, *, threads: int) -> Model:
    """Open a model file, and run it until it is warm.

    Raises:
        UsageError: if there is no such file, it is damaged, no model file, or does not run.
        EnvironmentFault: if onnxruntime is missing.
    """
    content = read_model(path)
    predictor = OnnxPredictor.from_bytes(content, str(path), threads=threads)
    specs = predictor.manifest.inputs
    values = sum(int(np.prod(spec.shape)) for spec in specs)
    rows_at_once = max(_LEAST_ROWS, min(_MOST_ROWS, _VALUES // max(values, 1)))
    sha256 = hashlib.sha256(content).hexdigest()
    cold = Model(predictor=predictor, sha256=sha256, rows_at_once=rows_at_once, seconds=(0.0, 0.0))
    try:
        few, many = (_seconds(cold, n_rows) for n_rows in _WARM_ROWS)
    except Exception as error:  # noqa: BLE001  (onnxruntime raises a class of its own for each cause)
        first = str(error).splitlines()[0][:200]
        hint = "export it again"
        raise UsageError(str(path), f"the model does not run ({first})", hint) from None
    each = max(many - few, 0.0) / (_WARM_ROWS[1] - _WARM_ROWS[0])
    return replace(cold, seconds=(few, each))


def rows_of(feeds: Feeds) -> int:
    """Return how many rows a model's inputs have."""
    return len(next(iter(feeds.values())))


def blank_feeds(specs: list[TensorSpec], n_rows: int) -> dict[str, Array]:
    """Return rows without content: numbers are 0, texts are missing."""
    return {spec.name: _blank(spec, n_rows) for spec in specs}


def different(one: Manifest, other: Manifest) -> str | None:
    """Return in what the second cannot replace the first, None if it can.

    A replacement predicts the same from the same columns: a caller sees no other difference than
    in the numbers.
    """
    for word, of in (
        ("task", lambda m: m.kind),
        ("classes", lambda m: m.classes),
        ("targets", lambda m: m.target_names),
        ("kind of rows", lambda m: m.fitted.preparation.kind),
        ("outputs", lambda m: [(spec.name, spec.shape) for spec in m.outputs]),
        ("columns", lambda m: {(s.name, c) for s in m.inputs for c in s.columns or []}),
        ("shape of rows", _shapes),
    ):
        if of(one) != of(other):
            return f"its {word} {'are' if word.endswith('s') else 'is'} different"
    return None


def _shapes(manifest: Manifest) -> object:
    """Return what rows must look like; those of texts have any length."""
    preparation = manifest.fitted.preparation
    if preparation.kind == "text":
        return None
    if preparation.kind == "sequence":
        return len(preparation.channels)
    if preparation.kind == "window":
        return preparation.window, preparation.horizon
    return None if preparation.kind == "table" else [spec.shape for spec in manifest.inputs]


def _blank(spec: TensorSpec, n_rows: int) -> Array:
    shape = (n_rows, *spec.shape)
    if spec.dtype == "string":
        return np.full(shape, "", dtype=object)
    if spec.name in ("lengths", "tokens"):
        return np.ones(shape, dtype=np.int64)
    return np.zeros(shape, dtype=_DTYPES[spec.dtype])


def _seconds(model: Model, n_rows: int) -> float:
    """Return the least time of some calls; the first ones make room for what is computed."""
    feeds = blank_feeds(model.manifest.inputs, n_rows)
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        outputs = model.run(feeds)
        took.append(time.perf_counter() - began)
    if len(outputs) != n_rows:
        raise ValueError(f"{len(outputs)} answers for {n_rows} rows")
    return min(took)
