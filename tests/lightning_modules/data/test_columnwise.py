import mmap

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.data import columnwise, large
from lightning_modules.data.columnwise import blocks_of, laid_out, taken
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.fitting import fit_column
from lightning_modules.data.frames import Reading, canonical_frame, is_text, texts_of

VALUES = {
    "n": st.floats(width=64) | st.none(),
    "c": st.sampled_from(["a", "", "é", "1"]) | st.none(),
    "d": st.datetimes(pd.Timestamp(1700, 1, 1), pd.Timestamp(2200, 1, 1)) | st.none(),
}
DTYPES = {"n": "float64", "c": "object", "d": "datetime64[us]"}
ROWS = st.lists(st.tuples(*VALUES.values()), max_size=20)


def table_of(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return pd.DataFrame(
        {
            name: pd.Series(list(values), dtype=DTYPES[name])
            for name, values in zip(VALUES, columns, strict=True)
        }
    )


@given(rows=ROWS, data=st.data())
def test_rows_are_taken_as_they_were(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    table = table_of(rows)
    any_rows = st.lists(st.integers(0, len(rows) - 1)) if rows else st.just([])
    chosen = np.array(data.draw(any_rows), dtype=np.int64)
    for once in (table, taken(table, np.arange(len(table)))):
        found = taken(once, chosen)
        assert isinstance(found, pd.DataFrame)
        wanted = table.iloc[chosen].reset_index(drop=True)
        pd.testing.assert_frame_equal(found[["n", "d"]], wanted[["n", "d"]])
        assert texts_of(found["c"]).tolist() == texts_of(wanted["c"]).tolist()


def test_a_large_table_is_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE_BYTES", 1)
    table = table_of([(1.5, "a", None), (None, None, pd.Timestamp(2024, 1, 1))])
    found = taken(table, np.array([1, 0]))
    assert isinstance(found, pd.DataFrame)
    assert all(map(in_a_file, (found["n"].to_numpy(), found["c"].array.codes)))
    assert in_a_file(found["d"].to_numpy())
    assert is_text(found["c"])
    again = canonical_frame(found, Reading(where="t", categorical=["c"]))
    assert all(map(in_a_file, (again["n"].to_numpy(), again["c"].array.codes)))
    assert in_a_file(again["d"].to_numpy())


def in_a_file(array: object) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(getattr(array, "obj", array), mmap.mmap)


def test_a_table_may_have_no_columns() -> None:
    assert taken(pd.DataFrame(index=range(3)), np.array([2, 0])).shape == (2, 0)
    assert laid_out([], n_columns=0, n_rows=3).shape == (3, 0)


def test_text_that_no_training_row_has_is_no_category() -> None:
    table = taken(table_of([(1.0, None, None), (2.0, None, None), (2.0, "a", None)]), np.arange(2))
    assert isinstance(table, pd.DataFrame)
    assert fit_column(table["c"], "c", PrepareConfig()).feature_names == []


def test_columns_are_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnwise, "BLOCK_VALUES", 10)
    assert list(blocks_of(["a", "b", "c"], 5)) == [["a", "b"], ["c"]]
    assert list(blocks_of(["a", "b"], 99)) == [["a"], ["b"]]
    assert list(blocks_of([], 5)) == []
