"""The curve of a run as a CSV file: a row for each validation."""

import io
from collections.abc import Sequence
from pathlib import Path

from lightning_modules.cells import CsvWriter, safe_cell
from lightning_modules.durable import write_text
from lightning_modules.result import Validation

CURVE = "curve.csv"


def write_curve(path: Path, validations: Sequence[Validation]) -> None:
    """Write all validations so far as CSV, by rename: epoch, step, seconds, every metric, pace.

    Raises:
        TrialFailed: reason ``disk`` if there is no room.
    """
    rows = [{**one.metrics, **one.pace} for one in validations]
    names = sorted({name for row in rows for name in row})
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.row(
        [
            "validation",
            "epoch",
            "step",
            "seconds",
            "objective",
            *(safe_cell(name) for name in names),
        ]
    )
    for one, row in zip(validations, rows, strict=True):
        values = [repr(row[name]) if name in row else "" for name in names]
        seconds = f"{one.seconds:.3f}"
        writer.row(
            [one.validation, f"{one.epoch:g}", one.step, seconds, repr(one.objective), *values]
        )
    write_text(path, text.getvalue(), sync=False)
