"""Row A7 of the abuse matrix: exported tables hold no formulas, and read back as what went in."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.layout import StudyFolder
from hpo.predict.stream import Wanted, write_predictions
from hpo.records import TrialRecord, write_leaderboard
from lightning_modules.cells import CsvWriter, safe_cell
from lightning_modules.config import RunConfig
from lightning_modules.curve import write_curve
from lightning_modules.result import Validation
from lightning_modules.train import train

STARTS = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
WANTED = Wanted(probabilities=True)
LABELS = ['=cmd|" /C calc"!A0', "@SUM(A1)", "+a", "-a", "'=a", 'a "b", c', "a\rb", "-1", "1e3"]
text = st.text(st.sampled_from("=+-@\t\r\n'\",;a1 é")) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)


def read(written: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written, newline="")))


def unquoted(cell: str) -> str:
    """Return the text of a cell: what an import that knows the rule makes of it."""
    return re.sub(r"\A'(?='*[=+\-@\t\r])", "", cell)


def is_formula(cell: str) -> bool:
    return cell.startswith(STARTS) and not NUMBER.fullmatch(cell)


@given(st.lists(st.lists(text, min_size=2, max_size=3), min_size=1, max_size=3))
def test_a7_text_is_no_formula_and_reads_back_equal(rows: list[list[str]]) -> None:
    stream = io.StringIO()
    writer = CsvWriter(stream)
    for row in rows:
        writer.row([safe_cell(cell) for cell in row])
    found = read(stream.getvalue())
    assert not [cell for row in found for cell in row if cell.startswith(STARTS)]
    assert [[unquoted(cell) for cell in row] for row in found] == rows
    assert stream.getvalue().endswith("\n")


@given(
    choice=text,
    note=text,
    number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
)
def test_a7_the_leaderboard_reads_back_equal(
    choice: str, note: str, number: float, tmp_path_factory: pytest.TempPathFactory, make_record
) -> None:
    folder = StudyFolder(tmp_path_factory.mktemp("leaderboard"))
    params = {"=choice": choice, "shift": number}
    record: TrialRecord = make_record(value=float(number), params=params, notes=[note])
    write_leaderboard(folder, [record], direction="minimize", metric="-loss")
    with folder.leaderboard.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert not [name for name in row if is_formula(name)]
    assert unquoted(row["'=choice"]) == choice
    assert unquoted(row["notes"]) == note
    assert (float(row["'-loss"]), float(row["shift"])) == (float(number), float(number))
    assert type(number)(row["shift"]) == number


@pytest.fixture(scope="module")
def make_record() -> Any:
    """Return a function from what matters of a record to a record."""

    def make(**fields: Any) -> TrialRecord:
        record = {
            "schema": "hpo.trial/1",
            "study": "s",
            "number": 0,
            "state": "pruned",
            "config": {},
            "config_sha256": "0" * 64,
            "seed": 0,
            "started_utc": "2026-11-21T00:00:00Z",
            "ended_utc": "2026-11-21T00:00:01Z",
            "seconds": 1.0,
        }
        value = fields.pop("value")
        return TrialRecord.model_validate(record | fields | {"run": {**RUN, "value": value}})

    return make


RUN = {
    "best_validation": 1,
    "best_epoch": 1.0,
    "metrics": {},
    "stopped_by": "max_epochs",
    "epochs_run": 2.0,
    "validations": 2,
    "steps": 4,
    "seconds": 0.5,
    "n_parameters": 100,
    "size_bytes": 400,
    "latency_ms": None,
    "device": "cpu",
    "checkpoint": {"path": "best.ckpt", "sha256": "1" * 64, "bytes": 10},
    "data": {
        "source": "iris",
        "sha256": None,
        "split_sha256": None,
        "preparation_sha256": None,
        "n_rows": {},
        "classes": None,
        "majority_class": None,
    },
}


def test_a7_the_curve_holds_no_formula(tmp_path: Path) -> None:
    one = Validation(
        validation=1,
        epoch=1.0,
        step=1,
        seconds=0.1,
        objective=-0.5,
        best=True,
        metrics={"=1+1": -0.5, "@a": 1.0},
    )
    write_curve(tmp_path / "curve.csv", [one])
    names, values = read((tmp_path / "curve.csv").read_text())
    assert values[-3:] == ["-0.5", "-0.5", "1.0"]
    assert not [name for name in names if is_formula(name)]


def test_a7_predicted_labels_are_no_formulas_and_read_back_equal(tmp_path: Path) -> None:
    """The names of the columns are made of labels, too; whole numbers are labels as they are."""
    table, out = tmp_path / "t.csv", tmp_path / "out.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(["x", "kind"])
        for n in range(len(LABELS) * 8):
            writer.writerow([n % len(LABELS) * 10 + n / 1000, LABELS[n % len(LABELS)]])
    sections = {
        "task": {"kind": "multiclass"},
        "data": {"source": "csv", "path": str(table), "target": "kind"},
        "model": {"family": "mlp", "n_layers": 1, "width": 64},
        "optimizer": {"name": "adamw", "lr": 0.1},
        "trainer": {"max_epochs": 40, "batch_size": 32, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(sections), tmp_path / "run")
    assert write_predictions(tmp_path / "run", table, out, WANTED) == len(LABELS) * 8
    with out.open(encoding="utf-8", newline="") as stream:
        names, *rows = csv.reader(stream)
    assert not [cell for row in [names, *rows] for cell in row if is_formula(cell)]
    assert set(names) == {"prediction", *(f"p_{label}" for label in LABELS)}
    predicted = {unquoted(row[0]) for row in rows}
    assert predicted <= set(LABELS)
    assert len(predicted) > len(LABELS) / 2  # it has learned something
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[1:])
