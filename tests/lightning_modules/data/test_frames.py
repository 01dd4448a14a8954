import numpy as np
import pandas as pd
import pytest

from lightning_modules.data.frames import (
    Reading,
    as_frame,
    canonical_frame,
    is_text,
    numbers_of,
    text_of,
    texts_of,
)
from lightning_modules.errors import DataError

READING = Reading(where="t.csv")


def test_columns_become_numbers_or_text_and_nothing_else() -> None:
    frame = pd.DataFrame(
        {
            "integer": [1, 2, 3],
            "nullable": pd.Series([1, None, 2], dtype="Int64"),
            "objects": pd.Series([1, 2.5, None], dtype=object),
            "flag": [True, False, True],
            "category": pd.Categorical([1, 2, 1]),
            "text": ["x", None, "y"],
        }
    )
    result = canonical_frame(frame, READING)
    assert list(result.columns) == list(frame.columns)
    assert [str(kind) for kind in result.dtypes] == ["float64"] * 3 + ["object"] * 3
    assert list(result["flag"]) == ["True", "False", "True"]
    assert list(result["category"]) == ["1", "2", "1"]
    assert list(result["text"]) == ["x", None, "y"]


def test_a_canonical_frame_stays_as_it_is() -> None:
    once = canonical_frame(pd.DataFrame({"a": [1, 2], "b": ["x", None]}), READING)
    pd.testing.assert_frame_equal(canonical_frame(once, READING), once)
    assert is_text(once["b"])
    assert not is_text(once["a"])


def test_a_categorical_column_of_numbers_becomes_text() -> None:
    result = canonical_frame(pd.DataFrame({"a": [1.0, None]}), Reading(where="", categorical=["a"]))
    assert list(result["a"]) == ["1", None]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([None, None], "column 'a' has no values; leave it out"),
        ([1j, 2j], "column 'a' is complex, neither numbers nor text"),
        (pd.to_timedelta(["1 day", "2 days"]), "column 'a' is timedelta64, neither"),
        ([[1], [2]], "column 'a' holds lists"),
        (["1"] * 20 + ["1o"], "column 'a' holds numbers, but row 21 has '1o'; correct it, or list"),
        ([*range(20), "x"], "column 'a' holds numbers, but row 21 has 'x'"),
        ([f"id {i}" for i in range(60)], "looks like an id or free text: 60 different texts in 60"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(column: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        canonical_frame(pd.DataFrame({"a": pd.Series(column)}), READING)


def test_text_of_digits_alone_stays_text() -> None:
    assert list(canonical_frame(pd.DataFrame({"a": ["01", "02"]}), READING)["a"]) == ["01", "02"]


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(DataError, match="has no feature columns"):
        canonical_frame(pd.DataFrame(index=range(3)), READING)


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(DataError, match="column '1' stands twice"):
        canonical_frame(pd.DataFrame([[1, 2]], columns=["1", 1]), READING)


def test_labels_are_the_same_text_whatever_their_type() -> None:
    forms = [
        pd.Series([0, 1]),
        pd.Series([0.0, 1.0]),
        pd.Series([0, 1], dtype="Int64"),
        np.array([0, 1], dtype=np.uint8),
        np.array(["0", "1"]),
        np.array(["0", "1"], dtype=object),
    ]
    assert [list(texts_of(form)) for form in forms] == [["0", "1"]] * len(forms)
    assert list(texts_of(np.array([True, False]))) == ["True", "False"]
    assert list(texts_of(np.array(["a", None, np.nan], dtype=object))) == ["a", None, None]
    assert text_of(float("inf")) == "inf"


def test_numbers_may_be_missing_but_not_text() -> None:
    assert np.isnan(numbers_of(pd.Series([None, 1.0]), where="t")[0])
    assert numbers_of(pd.Series(["1", "2"], dtype="category"), where="t").tolist() == [1, 2]
    with pytest.raises(DataError, match="t: column 'a' holds numbers, but row 2 has 'x'; correct"):
        numbers_of(pd.Series([1, "x"], name="a"), where="t")
    with pytest.raises(DataError, match=r"column 'a' holds datetime64.*, not numbers"):
        numbers_of(pd.Series(pd.to_datetime(["2020-01-01"]), name="a"), where="t")


def test_columns_of_an_array_are_numbered() -> None:
    assert list(as_frame(np.zeros((1, 3))).columns) == ["x0", "x1", "x2"]
