from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_modules.data import columnwise, large, table_preparation
from lightning_modules.data.config import CsvConfig, ParquetConfig, PrepareConfig
from lightning_modules.data.parquet import open_parquet, read_parquet
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.data.prepared import PreparedData, prepare_task
from lightning_modules.data.raw import load
from lightning_modules.errors import DataError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all tables for large: one column is read, and few rows are transformed, at a time."""
    monkeypatch.setattr(large, "LARGE_BYTES", 1)
    monkeypatch.setattr(columnwise, "BLOCK_VALUES", 1)
    monkeypatch.setattr(table_preparation, "_CHUNK_VALUES", 30)


def table(n_rows: int = 90) -> pd.DataFrame:
    """Return columns of each kind, some values missing and some rows twice."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": generator.random(n_rows),
            "gap": np.where(generator.random(n_rows) < 0.2, np.nan, generator.random(n_rows)),
            "zero": generator.choice([0.0, -0.0, 1.0], n_rows),
            "colour": np.where(generator.random(n_rows) < 0.2, None, "red"),
            "flag": generator.random(n_rows) < 0.5,
            "day": pd.date_range("2020-01-01", periods=n_rows, freq="37h").strftime("%d.%m.%Y"),
            "town": generator.integers(0, 12, n_rows),
            "when": pd.date_range("2024-01-01", periods=n_rows, freq="h").astype(str),
            "y": generator.choice(["no", "yes"], n_rows),
        }
    )
    return pd.concat([frame, frame.iloc[:9]], ignore_index=True)


SETTINGS: list[Mapping[str, Any]] = [
    {"ignore": ["town", "when"]},
    {"duplicates": "drop", "ignore": ["when"], "prepare": PrepareConfig(pca=0.9)},
    {"split": "grouped", "group": "town", "prepare": PrepareConfig(scale="quantile", rare=2)},
    {"split": "time", "time": "when", "use_split_column": True, "categorical": ["town"]},
]


def everything(data: PreparedData) -> list[object]:
    prints = [data.data_sha256, data.split_sha256, data.preparation_sha256]
    rows = [part for part in (data.train, data.validation, data.test) if part is not None]
    return [*prints, *((part.x.tolist(), part.y.tolist()) for part in rows)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_large_parquet_file_is_prepared_as_a_small_csv_file(
    tmp_path: Path, request: pytest.FixtureRequest, settings: Mapping[str, Any]
) -> None:
    table().to_csv(tmp_path / "t.csv", index=False)
    table().to_parquet(tmp_path / "t.parquet", row_group_size=17)
    small = CsvConfig(path=str(tmp_path / "t.csv"), target="y", **settings)
    wanted = everything(prepare_task(small, task_kind="binary", with_test=True))
    request.getfixturevalue("bit_by_bit")
    large_one = ParquetConfig(path=str(tmp_path / "t.parquet"), target="y", **settings)
    assert everything(prepare_task(large_one, task_kind="binary", with_test=True)) == wanted


def test_a_wrong_value_is_named_by_its_row_among_all(bit_by_bit: None) -> None:
    fitted = fit_preparation(table()[["number", "gap"]], PrepareConfig())
    wrong = table()[["number", "gap"]]
    wrong.loc[77, "gap"] = np.inf
    with pytest.raises(DataError, match="column 'gap' has an infinite number in row 78"):
        fitted.apply(wrong)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({0: [1, 2], 7: [3, 4], 1: ["k", "l"]}).set_index(1).rename_axis("id"),
        pd.DataFrame({"a.b": [3, 4], "a": [1, 2]}, index=[5, 9]),
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("c", "d")])),
        pd.DataFrame([[1, 2]], columns=pd.to_datetime(["2024-01-01 01:00", "2024-01-02 03:00"])),
    ],
)
def test_columns_are_named_as_pandas_names_them(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pandas(frame), path)
    read = pd.read_parquet(path).reset_index(drop=True)
    opened = open_parquet(path, where="t")
    assert opened.columns == [str(name) for name in read.columns]
    assert len(opened) == len(frame)
    for i, name in enumerate(opened.columns):
        assert opened[[name]].to_dict("list") == {name: read.iloc[:, i].tolist()}
    assert read_parquet(path, where="t").equals(read.set_axis(opened.columns, axis=1))
    assert opened[[]].shape == (len(frame), 0)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(DataError, match="is no Parquet file: Multiple matches"):
        open_parquet(path, where="t")


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    for i, part in enumerate(np.array_split(np.arange(99), 3)):
        (tmp_path / "t").mkdir(exist_ok=True)
        table().iloc[part].to_parquet(tmp_path / "t" / f"{i}.parquet")
    table().to_parquet(tmp_path / "t.parquet")
    one, other = (
        prepare_task(ParquetConfig(path=str(tmp_path / name), target="y"), task_kind="binary")
        for name in ("t", "t.parquet")
    )
    assert everything(one) == everything(other)


def test_columns_that_are_left_out_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    nested = pa.array([[1]] * 99)
    columns = pa.Table.from_pandas(table()).append_column("lists", nested)
    pq.write_table(columns, path)
    config = ParquetConfig(path=str(path), target="y", ignore=["lists"])
    assert "lists" not in load(config, task_kind="binary").x
    with pytest.raises(DataError, match="column 'lists' holds lists"):
        load(config.model_copy(update={"ignore": []}), task_kind="binary")


def test_a_damaged_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(999)), "y": ["n"] * 999}), path, compression="gzip")
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(0).dictionary_page_offset
    content[start + 40 : start + 400] = bytes(360)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no Parquet file"):
        load(ParquetConfig(path=str(path), target="y"), task_kind="binary")


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    with pytest.raises(DataError, match="has no rows"):
        open_parquet(path, where="t")
