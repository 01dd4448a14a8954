"""Tables are written so that what is read back is what was predicted."""

import io
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import EnvironmentFault
from hpo.predict import writing
from hpo.predict.predictor import Answers
from hpo.predict.table import Columns, columns_of, number_texts, texts_in
from hpo.predict.writing import cell_of, write_csv, write_jsonl, write_parquet
from lightning_modules.cells import CsvWriter, safe_cell

TWO = Answers(kind="binary", classes=["=no", 'a "b", c'], target_names=None)
SHARES = np.array([[0.25, 0.75], [0.9, 0.1]], dtype=np.float32)


def tables() -> Iterator[Columns]:
    """Yield a table in two pieces, with columns of the input."""
    ids = pd.Series(["007", None, "-x"], dtype=object)
    numbers = pd.Series([1.5, np.nan, np.inf])
    for part, shares in ((slice(0, 2), SHARES), (slice(2, 3), SHARES[:1])):
        made = columns_of(shares, TWO, probabilities=True)
        yield {"id": ids[part], "n": numbers[part], **made}


def test_csv_is_safe_and_quoted() -> None:
    stream = io.StringIO()
    write_csv(tables(), stream)
    assert stream.getvalue().splitlines() == [
        'id,n,prediction,p_=no,"p_a ""b"", c"',
        '007,1.5,"a ""b"", c",0.25,0.75',
        ",,'=no,0.9,0.1",
        '\'-x,inf,"a ""b"", c",0.25,0.75',
    ]


def test_json_lines_hold_numbers_as_numbers_and_null_where_there_is_none() -> None:
    stream = io.StringIO()
    write_jsonl(tables(), stream)
    first, second, third = map(json.loads, stream.getvalue().splitlines())
    assert first == {
        "id": "007",
        "n": 1.5,
        "prediction": 'a "b", c',
        "p_=no": 0.25,
        'p_a "b", c': 0.75,
    }
    assert (second["id"], second["n"], second["prediction"]) == (None, None, "=no")
    assert (third["id"], third["n"]) == ("-x", None)
    stream = io.StringIO()
    made = columns_of(np.array([np.nan, -1e-7], np.float32), NUMBERS, probabilities=False)
    write_jsonl(iter([made]), stream)
    assert [json.loads(line)["prediction"] for line in stream.getvalue().splitlines()] == [
        None,
        -1e-07,
    ]


NUMBERS = Answers(kind="regression", classes=None, target_names=None)


def test_a_row_of_which_the_network_computes_nothing_has_no_class_and_no_label() -> None:
    outputs = np.array([[0.9, 0.1], [np.nan, np.nan]], dtype=np.float32)
    stream, lines = io.StringIO(), io.StringIO()
    write_csv(iter([columns_of(outputs, TWO, probabilities=False)]), stream)
    assert stream.getvalue() == 'prediction\n\'=no\n""\n'
    write_jsonl(iter([columns_of(outputs, TWO, probabilities=True)]), lines)
    assert [json.loads(line) for line in lines.getvalue().splitlines()][1] == {
        "prediction": None,
        "p_=no": None,
        'p_a "b", c': None,
    }
    labels = Answers(kind="multilabel", classes=None, target_names=["a", "b"])
    outputs[1, 0] = 0.7
    made = columns_of(outputs, labels, probabilities=False)
    assert [texts_in(column) for column in made.values()] == [["1", "1"], ["0", ""]]
    lines = io.StringIO()
    write_jsonl(iter([made]), lines)
    assert json.loads(lines.getvalue().splitlines()[1]) == {"prediction_a": 1, "prediction_b": None}


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs the extra parquet")
def test_parquet_keeps_types(tmp_path: Path) -> None:
    write_parquet(tables(), tmp_path / "p.parquet", "p.parquet")
    frame = pd.read_parquet(tmp_path / "p.parquet")
    assert frame["id"].isna().tolist() == [False, True, False]
    assert frame["prediction"].tolist() == ['a "b", c', "=no", 'a "b", c']
    assert frame["p_=no"].dtype == np.float32


def test_parquet_without_pyarrow_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.extras.find_spec", lambda _: None)
    with pytest.raises(EnvironmentFault, match=r"p: needs pyarrow, .* 'hpo\[parquet\]'"):
        write_parquet(tables(), tmp_path / "p.parquet", "p")


def test_labels_and_numbers_have_a_column_each() -> None:
    labels = Answers(kind="multilabel", classes=None, target_names=["hot", "wet"])
    found = columns_of(np.array([[0.6, 0.5]], np.float32), labels, probabilities=True)
    assert {name: texts_in(column) for name, column in found.items()} == {
        "prediction_hot": ["1"],
        "prediction_wet": ["0"],
        "p_hot": ["0.6"],
        "p_wet": ["0.5"],
    }
    several = Answers(kind="regression", classes=None, target_names=["a", "b"])
    found = columns_of(np.array([[1.5, -2.0]], np.float32), several, probabilities=False)
    assert list(found) == ["prediction_a", "prediction_b"]


@given(st.lists(st.floats(width=32), min_size=1))
def test_numbers_are_as_short_as_they_are_exact(values: list[float]) -> None:
    numbers = np.array(values, dtype=np.float32)
    assert number_texts(numbers) == [str(number) for number in numbers]


@given(st.text(st.sampled_from("=+-@\t\r\n'\",;a1. é"), min_size=1))
def test_a_cell_is_that_of_the_one_writer_of_csv(text: str) -> None:
    stream = io.StringIO()
    safe = text if writing._NUMBER.fullmatch(text) else safe_cell(text)
    CsvWriter(stream).row(["x", safe])
    assert f"x,{cell_of(text)}\n" == stream.getvalue()
