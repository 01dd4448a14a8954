import csv
from pathlib import Path

from lightning_modules.curve import write_curve
from lightning_modules.result import Validation


def validation(number: int, **metrics: float) -> Validation:
    return Validation(
        validation=number,
        epoch=number / 2,
        step=3 * number,
        seconds=0.5,
        objective=0.1 + 0.2,
        best=number == 1,
        metrics=metrics,
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_curve_has_a_row_for_every_validation(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_curve(path, [validation(1, loss=0.5), validation(2, loss=0.25)])
    assert [(row["validation"], row["epoch"], row["step"]) for row in rows(path)] == [
        ("1", "0.5", "3"),
        ("2", "1", "6"),
    ]


def test_a_curve_keeps_every_bit_of_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_curve(path, [validation(1, loss=1 / 3)])
    assert float(rows(path)[0]["objective"]) == 0.1 + 0.2
    assert float(rows(path)[0]["loss"]) == 1 / 3


def test_a_metric_that_was_not_logged_leaves_its_cell_empty(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_curve(path, [validation(1, a=1.0), validation(2, b=2.0)])
    assert [(row["a"], row["b"]) for row in rows(path)] == [("1.0", ""), ("", "2.0")]


def test_a_curve_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("old")
    write_curve(path, [validation(1)])
    assert len(rows(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["curve.csv"]
