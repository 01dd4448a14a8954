"""Rows of Parquet files come some at a time, with the types of training."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from hpo.errors import DataError
from hpo.predict import parquet_rows
from hpo.predict.predictor import Inputs
from hpo.predict.reading import pieces_of
from hpo.predict.writing import write_csv, write_jsonl, write_parquet
from lightning_modules.data.columns import CategoryColumn, NumericColumn
from lightning_modules.data.config import ParquetConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import NumberTarget

pytest.importorskip("pyarrow")
COLUMNS = [
    NumericColumn(name="n", fill=0.0, center=0.0, scale=1.0),
    CategoryColumn(name="c", fill="1", categories=["1", "2"]),
]
INPUTS = Inputs(
    data=ParquetConfig(path="t.parquet", target="y"),
    fitted=Fitted(
        input_shape=[3],
        preparation=TablePreparation(columns=COLUMNS),
        target=NumberTarget(mean=0.0, sd=1.0),
    ),
)
FRAME = pd.DataFrame({"id": range(10), "c": [1, 2, None, 1, 2] * 2, "n": [0.5] * 9 + [None]})


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_rows_come_some_at_a_time_and_in_their_order(
    folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "VALUES", 8)
    path = tmp_path / "t.parquet"
    if folder:
        path.mkdir()
        FRAME.head(6).to_parquet(path / "0.parquet")
        FRAME.tail(4).to_parquet(path / "1.parquet")
    else:
        FRAME.set_index("n").reset_index().to_parquet(path, row_group_size=3)
    pieces = list(pieces_of(INPUTS, path, keep=["id"]))
    assert max(len(piece.raw) for piece in pieces) <= 4
    raw = pd.concat([pd.DataFrame(piece.raw) for piece in pieces], ignore_index=True)
    assert raw["c"].tolist() == ["1", "2", None, "1", "2"] * 2
    assert raw["n"].tolist()[:9] == [0.5] * 9
    assert raw["n"].isna().tolist()[-1]
    kept = [one for piece in pieces for one in piece.kept["id"]]
    assert kept == list(range(10))
    assert pieces[-1].share == 1.0


def test_what_is_copied_through_keeps_its_type_in_every_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(parquet_rows, "VALUES", 8)
    columns = {
        "n": [0.5] * 10,
        "c": [1] * 10,
        "id": [2**60 + 1, None] * 5,
        "late": [None] * 9 + [True],
        "list": [[1, 2], None] * 5,
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    kept = ["id", "late", "list"]
    tables = [piece.kept for piece in pieces_of(INPUTS, tmp_path / "t.parquet", keep=kept)]
    write_parquet(iter(tables), tmp_path / "out.parquet", "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert found == {name: columns[name] for name in kept}
    texts, lines = io.StringIO(), io.StringIO()
    write_csv(iter(tables), texts)
    assert texts.getvalue().splitlines()[1:3] == ['1152921504606846977,,"[1, 2]"', ",,"]
    write_jsonl(iter(tables), lines)
    assert [json.loads(line) for line in lines.getvalue().splitlines()[-2:]] == [
        {"id": 2**60 + 1, "late": None, "list": "[1, 2]"},
        {"id": None, "late": True, "list": None},
    ]


def test_an_index_that_was_saved_is_no_column(tmp_path: Path) -> None:
    FRAME.set_index("id").to_parquet(tmp_path / "t.parquet")
    (piece,) = pieces_of(INPUTS, tmp_path / "t.parquet")
    assert list(pd.DataFrame(piece.raw).columns) == ["n", "c"]


def test_a_value_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "VALUES", 8)
    numbers = [*map(str, range(9)), "x"]
    FRAME.assign(n=numbers).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="column 'n' holds numbers, but row 10 has 'x'"):
        list(pieces_of(INPUTS, tmp_path / "t.parquet", keep=["id"]))
    FRAME.drop(columns="n").to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="columns missing: 'n', columns not expected: 'id'"):
        list(pieces_of(INPUTS, tmp_path / "t.parquet"))
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:300])
    with pytest.raises(DataError, match=r"cut\.parquet: is no Parquet file"):
        list(pieces_of(INPUTS, tmp_path / "cut.parquet"))
