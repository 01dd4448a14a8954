import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo.draft.describe import describe_table, description_rows
from hpo.draft.init import draft_study
from hpo.errors import DataError

TABLE = "id;age;town;member;born;note;y\n" + "".join(
    f"{i};{i % 9 + 0.5 if i % 5 else ''};{'ABC'[i % 3]};{'yes' if i % 2 else 'no'};"
    f"{1 + i % 28}.{1 + i % 12}.2001;text {i} of many words that are free;{'uv'[i % 2]}\n"
    for i in range(60)
).replace(".5;", ",5;")


def write(folder: Path, text: str) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text.encode("cp1252"))
    return path


def test_every_column_says_what_it_is_and_what_it_becomes(tmp_path: Path) -> None:
    found = describe_table(write(tmp_path, TABLE.replace("many", "größer")))
    kinds = {one.column: one.kind for one in found.columns}
    becomes = {one.column: one.becomes for one in found.columns}
    assert found.form == "cp1252, delimiter semicolon, decimal commas"
    assert (found.n_rows, found.target) == (60, "y")
    assert kinds["age"] == "number"
    assert kinds["born"] == "date"
    assert becomes["id"].startswith("left out: looks like an id")
    assert becomes["note"].startswith("left out: looks like an id or free text")
    assert becomes["note"].endswith("; data.text: note predicts from it alone")
    assert becomes["age"] == "1 input, scaled, missing ones filled"
    assert becomes["town"] == "3 inputs, one per category"
    assert becomes["born"] == "month, day, weekday, days (day first)"
    assert becomes["y"] == "target: 2 classes"
    ages = next(one for one in found.columns if one.column == "age")
    assert (ages.missing, ages.distinct, ages.examples) == (12, 9, ["1.5", "2.5", "3.5"])
    assert description_rows(found)[1][1][:4] == ["age", "number", "12", "9"]


def test_rows_that_repeat_others_are_counted_and_the_target_may_be_named(tmp_path: Path) -> None:
    text = "a,y,z\n" + "".join(f"{i % 20 / 3},{i % 2},{i % 20}.5\n" for i in range(60))
    found = describe_table(write(tmp_path, text), target="z")
    assert found.n_repeats == 40
    assert found.columns[2].becomes == "target: a number to predict"
    with pytest.raises(DataError, match="has no column 'zz'; did you mean 'z'"):
        describe_table(write(tmp_path, text), target="zz")


def test_the_verb_prints_a_table_or_json(tmp_path: Path, cli) -> None:
    path = write(tmp_path, TABLE)
    said = cli("data", "describe", str(path))
    assert said.code == 0
    assert said.out.splitlines()[0].split() == [
        "column",
        "kind",
        "missing",
        "distinct",
        "examples",
        "becomes",
    ]
    assert "day first" in said.out
    answer = json.loads(cli("data", "describe", str(path), "--json").out)
    assert answer["command"] == "data describe"
    assert answer["result"]["columns"][1]["column"] == "age"
    wrong = cli("data", "describe", str(tmp_path / "no.csv"))
    assert wrong.code == 2
    assert "there is no such file" in wrong.err


def test_dates_that_can_be_read_in_two_ways_are_left_out(tmp_path: Path) -> None:
    text = "a,d,y\n" + "".join(
        f"{i / 3},{i % 9 + 1}/2/20{i % 60 + 10},{i % 2}\n" for i in range(60)
    )
    found = describe_table(write(tmp_path, text))
    assert found.columns[1].becomes.startswith("left out: holds dates such as '1/2/2010': which is")


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs the extra parquet")
def test_a_parquet_file_is_described_and_drafted(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(range(60), unit="D")
    frame = pd.DataFrame({"a": [i / 7 for i in range(60)], "when": days, "y": [0, 1] * 30})
    frame.to_parquet(path)
    found = describe_table(path)
    assert [one.kind for one in found.columns] == ["number", "date", "number"]
    assert "source: parquet" in draft_study(path)


def test_an_archive_says_what_its_arrays_are(tmp_path: Path) -> None:
    x, lengths = np.zeros((20, 5, 2)), np.arange(20) % 4 + 2
    x[:, 0], x[3, 1, 0] = np.arange(40.0).reshape(20, 2), np.nan
    path = tmp_path / "data.npz"
    np.savez(path, x=x, lengths=lengths, y=np.array(["a", "b"] * 10), other=np.ones(3))
    found = describe_table(path)
    rows = {one.column: one for one in found.columns}
    assert (found.n_rows, found.n_repeats, found.form) == (20, 0, "NumPy archive")
    assert (rows["x"].kind, rows["x"].missing) == ("float64 (20, 5, 2)", 1)
    assert rows["x"].becomes == "sequences of 2 to 5 steps, 2 channels"
    assert (rows["y"].kind, rows["y"].becomes) == ("text (20)", "target: 2 classes")
    assert rows["lengths"].becomes == "the real steps of each sequence in x"
    assert rows["other"].becomes == "not read: see data.x and data.y"
    np.savez(path, y=np.arange(50.0))
    assert describe_table(path).columns[0].becomes == "target: the steps to come"
