"""What a model says of rows, as JSON or as CSV."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from hpo.predict.predictor import Floats
from hpo.serve.json_line import json_line
from hpo.ship.manifest import Manifest
from lightning_modules.cells import CsvWriter, safe_cell
from lightning_modules.data.frames import Array

JSON, CSV = b"application/json", b"text/csv; charset=utf-8"
_DIGITS = 9
"""Of probabilities, behind the point."""
_HALF = 0.5
"""A label is predicted above."""


def as_json(manifest: Manifest, sha256: str, outputs: Floats) -> bytes:
    """Return predictions as JSON: one object for each row."""
    said = {"model": sha256, "predictions": predictions(manifest, outputs)}
    return json_line(said)


def predictions(manifest: Manifest, outputs: Floats) -> list[dict[str, Any]]:
    """Return what is said of each row: ``prediction``, and ``probabilities`` where there are any.

    Of labels the prediction is 0 or 1 for each, of several targets a number for each, of a series
    a list of its next steps.
    """
    names = manifest.target_names
    if manifest.classes is not None:
        classes = manifest.classes
        likely = [classes[i] for i in outputs.argmax(axis=1).tolist()]
        return [
            {"prediction": one, "probabilities": dict(zip(classes, row, strict=True))}
            for one, row in zip(likely, _rounded(outputs), strict=True)
        ]
    if manifest.kind == "multilabel" and names is not None:
        taken = (outputs > _HALF).astype(int).tolist()
        return [
            {
                "prediction": dict(zip(names, chosen, strict=True)),
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for chosen, row in zip(taken, _rounded(outputs), strict=True)
        ]
    numbers = _shortest(outputs)
    if names is not None:
        return [{"prediction": dict(zip(names, row, strict=True))} for row in numbers]
    return [{"prediction": row} for row in numbers]


def as_csv(manifest: Manifest, outputs: Floats) -> bytes:
    """Return predictions as a table, with the columns of ``hpo predict --probabilities``."""
    stream = io.StringIO()
    writer = CsvWriter(stream)
    writer.row([safe_cell(name) for name in column_names(manifest, outputs)])
    shown = outputs.reshape(len(outputs), -1).astype(str).tolist()
    if manifest.classes is not None:
        classes = [safe_cell(name) for name in manifest.classes]
        for i, row in zip(outputs.argmax(axis=1).tolist(), shown, strict=True):
            writer.row([classes[i], *row])
    elif manifest.kind == "multilabel":
        chosen = (outputs > _HALF).astype(int).tolist()
        for taken, row in zip(chosen, shown, strict=True):
            writer.row([*taken, *row])
    else:
        for row in shown:
            writer.row(row)
    return stream.getvalue().encode()


def column_names(manifest: Manifest, outputs: Array) -> list[str]:
    """Return the names of the columns of predictions."""
    names = manifest.target_names
    if names is not None:
        found = [f"prediction_{name}" for name in names]
    elif manifest.classes is None and outputs.ndim > 1:
        found = [f"prediction_step_{i + 1}" for i in range(outputs.shape[1])]
    else:
        found = ["prediction"]
    likely = manifest.classes or (names if manifest.kind == "multilabel" else None) or []
    return [*found, *(f"p_{name}" for name in likely)]


def _rounded(outputs: Floats) -> Sequence[Sequence[float]]:
    """Return probabilities to more digits than float32 has, and no more."""
    rows: list[list[float]] = outputs.astype(np.float64).round(_DIGITS).tolist()
    return rows


def _shortest(outputs: Floats) -> list[Any]:
    """Return numbers with as many digits as tell float32 apart."""
    numbers: list[Any] = outputs.astype(str).astype(np.float64).tolist()
    return numbers
