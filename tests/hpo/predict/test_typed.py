"""Rows from JSON and arrays get the types of training; errors name the column and the row."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.errors import DataError
from hpo.predict.header import check_columns
from hpo.predict.predictor import Inputs
from hpo.predict.typed import typed_array, typed_frame, typed_json, typed_lists
from lightning_modules.data.columns import CategoryColumn, DateColumn, NumericColumn
from lightning_modules.data.config import CsvConfig, DigitsConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.sequences import Channel, SequencePreparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.data.target import ClassTarget, NumberTarget
from lightning_modules.data.texts import TextPreparation
from lightning_modules.settings import Settings

AGE = NumericColumn(name="age", fill=0.0, center=0.0, scale=1.0)
TOWN = CategoryColumn(name="town", fill="1", categories=["1", "B"])
MEMBER = CategoryColumn(name="member", fill="True", categories=["False", "True"])
BORN = DateColumn(name="born", order="dmy", parts=[])
TABLE = TablePreparation(columns=[AGE, TOWN, MEMBER, BORN])
NUMBER = NumberTarget(mean=0.0, sd=1.0)


def inputs(preparation: Any, shape: list[int], data: Settings | None = None) -> Inputs:
    target = NUMBER if preparation.kind == "window" else ClassTarget(classes=["a", "b"])
    fitted = Fitted(input_shape=shape, preparation=preparation, target=target)
    return Inputs(data=data or DigitsConfig(), fitted=fitted)


ROWS = inputs(TABLE, [7], CsvConfig(path="t.csv", target="y", ignore=["id"]))
PIXELS = inputs(ImagePreparation(mean=[0.0], sd=[1.0]), [1, 2, 2])
STEPS = inputs(
    SequencePreparation(
        channels=[Channel(fill=0.0, center=0.0, scale=1.0)], length=3, difference=0, padded=True
    ),
    [3, 2],
)
WORDS = inputs(TextPreparation(tokens="words", lowercase=True, length=4, vocabulary=["a"]), [4])
SERIES = inputs(
    WindowPreparation(
        target="y",
        time="day",
        time_order="ymd",
        others=TablePreparation(columns=[AGE]),
        window=2,
        horizon=1,
    ),
    [2, 2],
)


def test_json_columns_get_the_types_of_training() -> None:
    columns = {
        "born": ["31.12.2024", None],
        "town": [1, None],
        "age": [3, None],
        "member": [True, "FALSE"],
    }
    rows = typed_json(ROWS, columns, "body")
    assert isinstance(rows, pd.DataFrame)
    assert list(rows.columns) == ["age", "town", "member", "born"]
    assert rows["age"].dtype == np.float64
    assert rows["age"][0] == 3.0
    assert math.isnan(rows["age"][1])
    assert rows["town"].tolist() == ["1", None]
    assert rows["member"].tolist() == ["True", "False"]
    assert rows["born"].tolist() == [pd.Timestamp(2024, 12, 31), pd.NaT]


GOOD = {"age": [1, 2], "town": ["B", "B"], "member": [True, False], "born": [None, None]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"age": [1, "2"]},
            "column 'age' holds numbers, but row 2 has text, '2'; correct it, or gi",
        ),
        ({"age": [1, True]}, "column 'age' holds numbers, but row 2 has true or false, True"),
        ({"age": [1, [2]]}, "column 'age' holds numbers, but row 2 has a list; correct"),
        ({"age": [1, math.inf]}, "column 'age' holds numbers, but row 2 has inf"),
        ({"age": [1, 10**400]}, "column 'age' holds numbers, but row 2 has inf"),
        ({"town": ["B", {}]}, "column 'town' holds text, but row 2 has an object; correct"),
        ({"born": [None, "soon"]}, "column 'born' holds dates, but row 2 has 'soon'; correct"),
        ({"born": [None, 5]}, "column 'born' holds dates, but row 2 has 5"),
        ({"age": [], "town": []}, "body: has no rows; at least one row is needed"),
        (
            {"Age": [1, 2], "age": None},
            "columns missing: 'age', columns not expected: 'Age'; is 'Age",
        ),
    ],
)
def test_json_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    columns = {name: values for name, values in {**GOOD, **change}.items() if values is not None}
    with pytest.raises(DataError, match=message):
        typed_json(ROWS, columns, "body")


def test_a_json_series_is_its_last_window() -> None:
    days = ["2024-01-03", "2024-01-01", "2024-01-02"]
    rows = typed_json(SERIES, {"day": days, "y": [3, 1, 2], "age": [30, None, 20]}, "body")
    assert isinstance(rows, pd.DataFrame)
    assert rows["y"].tolist() == [2.0, 3.0]
    assert rows["age"].tolist() == [20.0, 30.0]
    with pytest.raises(DataError, match="has 1 row, but the model looks at the last 2"):
        typed_json(SERIES, {"day": days[:1], "y": [1], "age": [1]}, "body")


def test_nested_lists_are_images_sequences_and_texts() -> None:
    flat = typed_lists(PIXELS, [[1, 2, 3, 4]], "body")
    deep = typed_lists(PIXELS, [[[[1, 2], [3, 4]]]], "body")
    np.testing.assert_array_equal(np.asarray(flat), np.asarray(deep))
    steps = typed_lists(STEPS, [[1, None, 3], [[5]]], "body")
    assert [row.shape for row in np.asarray(steps)] == [(3, 1), (1, 1)]
    assert math.isnan(np.asarray(steps)[0][1, 0])
    assert np.asarray(typed_lists(WORDS, ["a b", None], "body")).tolist() == ["a b", None]


@pytest.mark.parametrize(
    ("model", "rows", "message"),
    [
        (PIXELS, [], "has no rows"),
        (PIXELS, [[1, 2, 3, 4], [1, 2]], r"row 2 has shape \(2,\), row 1 \(4,\)"),
        (PIXELS, [[1, 2]], r"expected numbers of shape \(rows, 1, 2, 2\)"),
        (PIXELS, [[1, 2, 3, 4], [1, 2, None, 4]], "row 2 has a value that is NaN or infinite"),
        (PIXELS, [[1, 2, 3, 4], [[1], [1, 2]]], "row 2 is no array of numbers; give nested lists"),
        (PIXELS, ["abc"], "row 1 is no array of numbers"),
        (STEPS, [[1], []], "row 2 has no steps"),
        (STEPS, [[1], [[1, 2]]], "row 2 has 2 channels; expected 1"),
        (STEPS, [[1], [math.inf]], "row 2 has an infinite number"),
        (WORDS, ["a", ["b"]], "column 'text' holds text, but row 2 has a list"),
    ],
)
def test_lists_that_do_not_fit_are_refused(model: Inputs, rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        typed_lists(model, rows, "body")


def test_rows_are_counted_from_the_first_piece_on() -> None:
    frame = pd.DataFrame({name: map(str, values) for name, values in GOOD.items()})
    with pytest.raises(DataError, match="column 'born' holds dates, but row 11 has 'None'"):
        typed_frame(ROWS, frame, "t.csv", done=10)
    with pytest.raises(DataError, match="row 12 has a value that is NaN or infinite"):
        typed_array(PIXELS, np.array([[0.0] * 4, [np.nan] * 4]), "t.npy", done=10)
    with pytest.raises(DataError, match="row 12 has no steps"):
        typed_array(STEPS, np.array([np.ones((1, 1)), np.ones((0, 1))], dtype=object), "t", done=10)


def test_columns_that_are_copied_through_may_be_there() -> None:
    names = ["age", "town", "member", "born", "id", "y"]
    check_columns(ROWS, names, "t.csv")
    with pytest.raises(DataError, match="columns not expected: 'name'; expected: 'age', 'town'"):
        check_columns(ROWS, [*names, "name"], "t.csv")
    check_columns(ROWS, [*names, "name"], "t.csv", also=["name"])


def test_categories_that_pandas_read_as_numbers_are_the_text_of_training() -> None:
    frame = pd.DataFrame(
        {"age": [1, 2], "town": [1.0, np.nan], "member": [True, None], "born": [pd.NaT, pd.NaT]}
    )
    rows = typed_frame(ROWS, frame, "t.parquet")
    assert isinstance(rows, pd.DataFrame)
    assert rows["town"].tolist() == ["1", None]
    assert rows["member"].tolist() == ["True", None]
