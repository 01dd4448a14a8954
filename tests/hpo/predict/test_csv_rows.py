"""Rows of CSV read as numbers at once are those that reading them as text gives, to the bit."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import DataError
from hpo.predict import csv_blocks, csv_rows
from hpo.predict.csv_rows import csv_file_pieces, csv_stream_pieces
from hpo.predict.predictor import Inputs
from hpo.predict.typed import typed_frame
from lightning_modules.data.columns import CategoryColumn, DateColumn, NumericColumn
from lightning_modules.data.config import CsvConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import NumberTarget

MISSING = ["", "?", "NA", "NaN", "nan", "null", "N/A", "None", "n/a", "<NA>", "#N/A"]
NUMBERS = [
    *("0", "-0", "+7", "1.", ".5", "-1.5e-7", "1E5", " 2", "3 ", "007", "1e-320", "5e-324"),
    *("9007199254740991", "9007199254740993", "12345678901234567890", "-9223372036854775809"),
    *("0.1", "0.30000000000000004", "2.2250738585072011e-308", "1.7976931348623157e308"),
    *("123456789.123456789123", "4.35", "100.0"),
]
WORDS = [
    "01",
    "1",
    "1.0",
    "B",
    "true",
    "TRUE",
    "False",
    "é",
    "a, b",
    'a "b"',
    "1,5",
    " x",
    "-",
    "+1",
]
DAYS = ["2024-12-31", "2024/1/2 3:04", "1999-02-01T23:59:59.5Z"]


def number(name: str) -> NumericColumn:
    return NumericColumn(name=name, fill=0.0, center=0.0, scale=1.0)


def category(name: str, *categories: str) -> CategoryColumn:
    return CategoryColumn(name=name, fill=categories[0], categories=list(categories))


COLUMNS = [
    number("n"),
    number("m"),
    category("c", "01", "B"),
    category("b", "False", "True"),
    DateColumn(name="d", order="ymd", parts=[]),
]
INPUTS = Inputs(
    data=CsvConfig(path="t.csv", target="y"),
    fitted=Fitted(
        input_shape=[8],
        preparation=TablePreparation(columns=COLUMNS),
        target=NumberTarget(mean=0.0, sd=1.0),
    ),
)
NAMES = [column.name for column in COLUMNS]


def csv_of(rows: list[list[str]], *, delimiter: str = ",") -> str:
    frame = pd.DataFrame(rows, columns=pd.Index(NAMES))
    return frame.to_csv(index=False, sep=delimiter)


def as_text(path: Path, *, decimal: str = ".", delimiter: str = ",") -> pd.DataFrame:
    """Return the rows by way of text, as they were read before there was another way."""
    frame = pd.read_csv(path, dtype=str, na_values=["?"], sep=delimiter, index_col=False)
    if decimal == ",":
        for name in "nm":
            frame[name] = frame[name].str.replace(r"^(\s*[+-]?\d*),(\d+)", r"\1.\2", regex=True)
    typed = typed_frame(INPUTS, frame, str(path))
    assert isinstance(typed, pd.DataFrame)
    return typed


def as_read(path: Path) -> pd.DataFrame:
    pieces = [piece.raw for piece in csv_file_pieces(INPUTS, path, ())]
    assert all(isinstance(piece, pd.DataFrame) for piece in pieces)
    return pd.concat(pieces, ignore_index=True)  # type: ignore[arg-type]


def assert_equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.columns) == NAMES
    for name in NAMES:
        one, other = found[name], expected[name]
        assert one.dtype == other.dtype, name
        if one.dtype == object:
            assert one.tolist() == other.tolist()
        else:
            np.testing.assert_array_equal(one.to_numpy(), other.to_numpy())


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([*NUMBERS, *MISSING]),
            st.sampled_from(MISSING) | st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.sampled_from([*WORDS, *MISSING]),
            st.sampled_from(["True", "false", "TRUE", *MISSING]),
            st.sampled_from([*DAYS, *MISSING]),
        ).map(list),
        min_size=1,
        max_size=12,
    ),
    size=st.sampled_from([40, 1 << 20]),
)
def test_both_ways_of_reading_give_the_same_values(
    rows: list[list[str]], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "equal.csv"
    path.write_text(csv_of(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "BLOCK_BYTES", size)
        assert_equal(as_read(path), as_text(path))


def test_most_values_need_one_way_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text(csv_of([["1.5", "", "B", "True", "2024-01-01"], ["3", "?", "01", "", ""]]))

    def fails(*_: object) -> pd.DataFrame:
        raise AssertionError("was read as text")

    monkeypatch.setattr(csv_rows._Reader, "_texts", fails)
    assert as_read(path)["n"].tolist() == [1.5, 3.0]
    path.write_text(csv_of([["9007199254740993", "1", "B", "True", ""]]))
    with pytest.raises(AssertionError, match="was read as text"):
        as_read(path)


def test_decimal_commas_are_numbers_and_text_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [
        ["1,5", "-2,25e3", "1,5", "true", ""],
        [",5", "7", "B", "", ""],
        ["?", "1,", "", "", ""],
    ]
    path.write_text(csv_of(rows, delimiter=";"))
    found = as_read(path)
    assert found["n"].tolist()[:2] == [1.5, 0.5]
    assert found["m"].tolist() == [-2250.0, 7.0, 1.0]
    assert found["c"].tolist() == ["1,5", "B", None]
    path.write_text(csv_of([*rows, ["9007199254740993", "1,", "1,5", "", ""]], delimiter=";"))
    again = as_read(path).head(3)
    assert_equal(again, found)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["x", "1", "B", "True", ""], "column 'n' holds numbers, but row 3 has 'x'; correct it"),
        (["1", "-inf", "B", "True", ""], "column 'm' holds numbers, but row 3 has '-inf'"),
        (["1", "1e999", "B", "True", ""], "column 'm' holds numbers, but row 3 has '1e999'"),
        (["1", "NAN", "B", "True", ""], "column 'm' holds numbers, but row 3 has 'NAN'"),
        (["1", "1", "B", "True", "soon"], "column 'd' holds dates, but row 3 has 'soon'; correct"),
    ],
)
@pytest.mark.parametrize("size", [25, 1 << 20])
def test_a_value_that_does_not_fit_is_named(
    row: list[str], message: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", size)
    good = ["1", "2.5", "B", "True", "2024-01-01"]
    path = tmp_path / "t.csv"
    path.write_text(csv_of([good, good, row]))
    with pytest.raises(DataError, match=message):
        as_read(path)


def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('n,m,c,b,d\n1,2,B,,\n1,2,B,,"x\n')
    with pytest.raises(DataError, match=r"t\.csv: is not a CSV file: .*EOF inside string"):
        as_read(path)


def test_blank_lines_are_no_rows_and_none_at_all_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 8)
    path = tmp_path / "t.csv"
    path.write_text("n,m,c,b,d\n\n\n\n\n\n\n1,2,B,,\n\n\n\n\n\n\n\n\n\n\n2,3,01,,\n  \n\n")
    assert as_read(path)["n"].tolist() == [1.0, 2.0]
    path.write_text("n,m,c,b,d\n\n\n\n\n\n\n\n\n\n\n")
    with pytest.raises(DataError, match="has a header but no rows; at least one row"):
        as_read(path)


def test_columns_are_copied_through_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('n,m,c,b,d,id\n1,2,B,,,007\n3,NA,"a, b",,,NA\n')
    (piece,) = csv_file_pieces(INPUTS, path, ("id", "m", "c"))
    kept = {name: list(column) for name, column in piece.kept.items()}
    assert kept == {"id": ["007", "NA"], "m": ["2", "NA"], "c": ["B", "a, b"]}
    with pytest.raises(DataError, match=r"--keep: .*t\.csv has no column 'idx'; did you mean 'id"):
        next(csv_file_pieces(INPUTS, path, ("idx",)))
    with pytest.raises(DataError, match="columns not expected: 'id'"):
        next(csv_file_pieces(INPUTS, path, ()))


class Slow(io.RawIOBase):
    """A stream that remembers how much was asked of it."""

    def __init__(self, rows: Callable[[int], bytes], n_rows: int) -> None:
        self.parts = iter([b"n,m,c,b,d\n", *map(rows, range(n_rows))])
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        found = b""
        while len(found) < size:
            part = next(self.parts, None)
            if part is None:
                break
            found += part
        self.given += len(found)
        return found


def test_a_stream_is_read_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "HEAD_BYTES", 500)
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 300)
    stream = Slow(lambda i: f"{i},2,B,,\n".encode(), 1000)
    pieces = csv_stream_pieces(INPUTS, stream, "stdin", ())
    first = next(pieces)
    assert stream.given < 1500
    rest = [first.raw, *(piece.raw for piece in pieces)]
    assert [n for raw in rest for n in raw["n"]] == list(range(1000))  # type: ignore[call-overload]
    wrong = Slow(lambda i: b"\xe9,2,B,,\n" if i == 200 else b"1,2,B,,\n", 300)
    with pytest.raises(DataError, match=r"stdin: line 202 is not utf-8 \(byte \d+\); save it as"):
        list(csv_stream_pieces(INPUTS, wrong, "stdin", ()))
