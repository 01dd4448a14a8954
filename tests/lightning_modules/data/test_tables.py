from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from lightning_modules.data.config import (
    BreastCancerConfig,
    CsvConfig,
    DiabetesConfig,
    DigitsConfig,
    IrisConfig,
    ParquetConfig,
    SourceConfig,
    WineConfig,
)
from lightning_modules.data.csv_check import line_of_row
from lightning_modules.data.csv_form import CsvForm
from lightning_modules.data.fingerprint import fingerprint_data
from lightning_modules.data.frames import texts_of
from lightning_modules.data.raw import load
from lightning_modules.data.tables import load_csv, read_table
from lightning_modules.errors import DataError


def csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("config", "task_kind", "shape", "labels"),
    [
        (DigitsConfig(), "multiclass", (1797, 1, 8, 8), {str(i) for i in range(10)}),
        (BreastCancerConfig(), "binary", (569, 30), {"benign", "malignant"}),
        (WineConfig(), "multiclass", (178, 13), {"class_0", "class_1", "class_2"}),
        (IrisConfig(), "multiclass", (150, 4), {"setosa", "versicolor", "virginica"}),
    ],
)
def test_a_named_set_has_its_classes_as_text(
    config: SourceConfig, task_kind: str, shape: tuple[int, ...], labels: set[str]
) -> None:
    raw = load(config, task_kind=task_kind)
    assert raw.x.shape == shape
    assert set(raw.y) == labels


def test_diabetes_is_a_number_to_predict_from_unscaled_columns() -> None:
    raw = load(DiabetesConfig(), task_kind="regression")
    assert isinstance(raw.x, pd.DataFrame)
    assert raw.x["age"].max() > 10
    assert raw.y.dtype == np.float64


def test_a_csv_file_becomes_numbers_and_categories(tmp_path: Path) -> None:
    path = csv(
        tmp_path, "\ufeffid,a,b,c,y\n1,0.5,red,True,no\n2,?,,False,yes\n\n3,NA,red,True,no\n"
    )
    raw = load_csv(CsvConfig(path=str(path), target="y", ignore=["id"]))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x.columns) == ["a", "b", "c"]
    assert raw.x["a"].isna().tolist() == [False, True, True]
    assert list(texts_of(raw.x["b"])) == ["red", None, "red"]
    assert list(raw.x["c"]) == ["True", "False", "True"]
    assert list(raw.y) == ["no", "yes", "no"]
    assert raw.where == str(path)


def test_a_categorical_column_keeps_its_exact_text(tmp_path: Path) -> None:
    path = csv(tmp_path, "zip,y\n01,1\n,2\n1,3\n")
    raw = load_csv(CsvConfig(path=str(path), target="y", categorical=["zip"]))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(texts_of(raw.x["zip"])) == ["01", None, "1"]


def test_ids_may_be_categories_when_they_are_listed(tmp_path: Path) -> None:
    path = csv(tmp_path, "who,y\n" + "".join(f"p{i},{i}\n" for i in range(60)))
    config = CsvConfig(path=str(path), target="y", categorical=["who"])
    assert len(load(config, task_kind="regression").x) == 60
    with pytest.raises(
        DataError, match=r"60 different texts in 60 rows; name it in data.ignore, or"
    ):
        load_csv(CsvConfig(path=str(path), target="y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,y\n", "has a header but no rows"),
        (b"a,y\n\0\0,1\n", "is no text: byte 5 is zero"),
        (b"PK\x03\x04", "is a zip archive or an Excel file; unpack it, or save the sheet"),
        ("a,y\n1,2\n\n1,2,3\n", "line 4 has 3 fields, the header has 2; put quotes"),
        ("a,y\n1\n", "line 2 has 1 fields, the header has 2"),
        ("a,a,y\n1,2,3\n", "column 'a' stands twice"),
        ("a,yy\n1,2\n", "data.target: no column 'y'; did you mean 'yy'?"),
        ("a,b\n1,2\n", "data.target: no column 'y'; known: a, b"),
        (",a,y\n0,1,2\n", r"column 1 has no name: a row number\?; .* \['Unnamed: 0'\]"),
        ("a,b,y\n1,,2\n", "column 'b' has no values; name it in data.ignore"),
        ('a,y\n"1\n",2\n' + "1,2\n" * 20 + "l,2\n", "'a' holds numbers, but line 24 has 'l'; corr"),
        ('a,y\n"1,2\n', "line 2 has 1 fields"),
        ('a,y\n1,"2\n', "is not a CSV file"),
        ("a,y\n" + "1" * 140_000 + ",2\n", "is not a CSV file: field larger"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_place(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = csv(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        load_csv(CsvConfig(path=str(path), target="y"))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ignore", "categorical", "message"),
    [
        (["bb"], [], "data.ignore: no column 'bb'; did you mean 'b'"),
        ([], ["aa"], "data.categorical: no column 'aa'; did you mean 'a'"),
        (["y"], [], "data.ignore: 'y' is the target"),
        ([], ["y"], "data.categorical: 'y' is the target"),
        (["a"], ["a"], "data.categorical: 'a' is in data.ignore too"),
    ],
)
def test_names_that_fit_no_column_are_refused(
    tmp_path: Path, ignore: list[str], categorical: list[str], message: str
) -> None:
    config = CsvConfig(
        path=str(csv(tmp_path, "a,b,y\n1,2,3\n")),
        target="y",
        ignore=ignore,
        categorical=categorical,
    )
    with pytest.raises(DataError, match=message):
        load_csv(config)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file; looked in"):
        load_csv(CsvConfig(path=str(tmp_path / "no.csv"), target="y"))
    with pytest.raises(DataError, match="is a folder"):
        load_csv(CsvConfig(path=str(tmp_path), target="y"))
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        load_csv(CsvConfig(path=str(tmp_path / ("n" * 300)), target="y"))


def test_a_row_beyond_the_file_has_no_line(tmp_path: Path) -> None:
    path = csv(tmp_path, "a\n1\n")
    assert line_of_row(path, 0, CsvForm()) == 2
    with pytest.raises(DataError, match="has no row 2"):
        line_of_row(path, 1, CsvForm())


def test_what_pandas_cannot_parse_is_one_line(tmp_path: Path) -> None:
    path = csv(tmp_path, 'a,b\n1,"2\n')
    with pytest.raises(DataError, match="w: is not a CSV file") as caught:
        read_table(path, header=["a", "b"], text_columns=[], where="w", form=CsvForm())
    assert "\n" not in str(caught.value)


PYARROW = find_spec("pyarrow") is not None


@pytest.mark.skipif(PYARROW, reason="pyarrow is installed")
def test_a_parquet_file_says_which_extra_it_needs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs pyarrow; pip install 'hpo\[parquet\]'"):
        load(ParquetConfig(path=str(tmp_path / "t.parquet"), target="y"), task_kind="binary")


@pytest.mark.skipif(not PYARROW, reason="needs the extra parquet")
def test_a_parquet_file_is_the_same_data_as_its_csv_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "a": [1.5, None, 3.0] * 4,
            "b": ["x", None, "z"] * 4,
            "c": [True, False, True] * 4,
            "y": [0, 1, 1] * 4,
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    raws = [
        load(CsvConfig(path=str(tmp_path / "t.csv"), target="y"), task_kind="binary"),
        load(ParquetConfig(path=str(tmp_path / "t.parquet"), target="y"), task_kind="binary"),
    ]
    assert fingerprint_data(raws[0]) == fingerprint_data(raws[1])


@pytest.mark.skipif(not PYARROW, reason="needs the extra parquet")
def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "t.parquet"
    wrong.write_text("a,y\n1,2\n")
    for path, message in (
        (wrong, "is no Parquet file"),
        (tmp_path / "no.parquet", "there is no such file"),
    ):
        with pytest.raises(DataError, match=message):
            load(ParquetConfig(path=str(path), target="y"), task_kind="binary")


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"ignore": ["a"]}, "shorten data.ignore"),
        ({"split": "time", "time": "a"}, "set data.use_split_column"),
    ],
)
def test_a_table_without_a_column_to_predict_from_is_refused(
    tmp_path: Path, settings: dict[str, Any], hint: str
) -> None:
    path = csv(tmp_path, "a,y\n1,2\n2,3\n")
    config = CsvConfig(path=str(path), target="y", **settings)
    with pytest.raises(DataError, match=f"no feature column is left; {hint}"):
        load(config, task_kind="regression")


TEXTS = "word,y,k\n007,a,1\nsome text,b,2\n,a,3\nlast one,b,4\n7,a,5\n8,b,6\n"


def test_a_column_of_texts_is_the_input_as_it_stands(tmp_path: Path) -> None:
    config = CsvConfig(path=str(csv(tmp_path, TEXTS)), target="y", text="word")
    raw = load(config, task_kind="binary")
    assert list(raw.x) == ["007", "some text", None, "last one", "7", "8"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": "wort"}, "data.text: no column 'wort'; did you mean 'word'"),
        ({"text": "y"}, "data.text: 'y' is data.target too; name another"),
        (
            {"text": "word", "split": "time", "time": "word"},
            "data.text: 'word' is data.time too",
        ),
    ],
)
def test_a_column_of_texts_that_cannot_be_one_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    config = CsvConfig(path=str(csv(tmp_path, TEXTS)), target="y", **settings)
    with pytest.raises(DataError, match=message):
        load_csv(config)


@pytest.mark.parametrize(
    "settings",
    [
        {"ignore": ["k"]},
        {"categorical": ["k"]},
        {"split": "time", "time": "k", "use_split_column": True},
    ],
)
def test_beside_texts_no_column_is_read(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"data\.text alone is read; remove this"):
        CsvConfig(path="p", target="y", text="word", **settings)
