import json
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.columns import CategoryColumn, NumericColumn
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.data.table_preparation import TablePreparation
from lightning_modules.errors import DataError

FRAME = pd.DataFrame(
    {"n": [1.0, np.nan, 3.0, 5.0], "c": pd.Series(["x", "y", None, "y"], dtype=object)}
)


def fitted(frame: pd.DataFrame, **settings: Any) -> TablePreparation:
    preparation = fit_preparation(frame, PrepareConfig(**settings))
    assert isinstance(preparation, TablePreparation)
    return preparation


def test_numbers_are_standardised_and_categories_one_hot() -> None:
    preparation = fitted(FRAME)
    features = preparation.apply(FRAME)
    assert features.dtype == np.float32
    assert preparation.feature_names == ["n", "c=x", "c=y"]
    assert preparation.n_features == 3
    assert features[:, 1:].tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]
    assert features[:, 0].mean() == pytest.approx(0)
    assert features[:, 0].std() == pytest.approx(1)


@pytest.mark.parametrize(
    ("impute", "fill"), [("mean", 2.75), ("median", 2.0), ("most_frequent", 1.0)]
)
def test_a_missing_number_becomes_the_fill(
    impute: Literal["mean", "median", "most_frequent"], fill: float
) -> None:
    frame = pd.DataFrame({"n": [1, 1, 3, 6, np.nan]})
    assert fitted(frame, impute=impute, scale="none").apply(frame)[-1, 0] == fill


def test_minmax_brings_training_rows_between_0_and_1() -> None:
    assert fitted(FRAME, scale="minmax").apply(FRAME)[[0, 3], 0].tolist() == [0, 1]


def test_scale_none_leaves_numbers_as_they_are() -> None:
    assert fitted(FRAME, scale="none").apply(FRAME)[:, 0].tolist() == [1, 3, 3, 5]


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_constant_and_empty_columns_do_no_harm(scale: str) -> None:
    frame = pd.DataFrame(
        {
            "constant": [0.1] * 7,
            "nothing": [np.nan] * 7,
            "no text": pd.Series([None] * 7, dtype=object),
        }
    )
    preparation = fitted(frame, scale=scale)
    assert preparation.n_features == 2
    later = pd.DataFrame({"constant": [0.1], "nothing": [2.0], "no text": ["new"]})
    assert preparation.apply(later)[0, 1] == 2
    assert preparation.apply(frame)[:, 1].tolist() == [0] * 7
    assert len(set(preparation.apply(frame)[:, 0].tolist())) == 1
    assert all(column.scale == 1 for column in preparation.columns if column.kind == "number")


def test_an_unknown_category_is_all_zeros_and_a_missing_one_the_most_frequent() -> None:
    preparation = fitted(FRAME)
    later = pd.DataFrame({"n": [1, 1], "c": ["z", None]})
    assert preparation.apply(later)[:, 1:].tolist() == [[0, 0], [0, 1]]


def test_categories_are_known_by_their_text_whatever_their_type() -> None:
    preparation = fitted(pd.DataFrame({"c": pd.Series(["1", "2"], dtype=object)}))
    for column in ([1, 2], [1.0, 2.0], pd.Categorical([1, 2])):
        assert preparation.apply(pd.DataFrame({"c": column})).tolist() == [[1, 0], [0, 1]]


def test_the_order_of_columns_does_not_matter() -> None:
    preparation = fitted(FRAME)
    np.testing.assert_array_equal(preparation.apply(FRAME[["c", "n"]]), preparation.apply(FRAME))


def test_an_array_has_columns_by_number() -> None:
    x = np.arange(6.0).reshape(3, 2)
    preparation = fit_preparation(x, PrepareConfig(scale="none"))
    assert isinstance(preparation, TablePreparation)
    assert preparation.feature_names == ["x0", "x1"]
    np.testing.assert_array_equal(preparation.apply(x), x)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME[["n"]], "data: columns missing: 'c'; expected: 'n', 'c'"),
        (FRAME.assign(d=1), "columns not expected: 'd'; expected: 'n', 'c'"),
        (FRAME.rename(columns={"c": "d"}), "missing: 'c', columns not expected: 'd'"),
        (FRAME[["n", "c", "c"]], "a column name stands twice; expected: 'n', 'c'"),
        (FRAME.assign(n=[1, "no", 2, 3]), "column 'n' holds numbers, but row 2 has 'no'"),
        (FRAME.assign(n=[1, 2, np.inf, 3]), "column 'n' has an infinite number in row 3"),
    ],
)
def test_other_columns_than_in_training_are_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(FRAME).apply(frame)


def test_a_long_list_of_columns_is_cut() -> None:
    with pytest.raises(DataError, match="'x19' and 10 more, columns not"):
        fit_preparation(np.zeros((2, 30)), PrepareConfig()).apply(pd.DataFrame({"a": [1]}))


def test_impute_is_refused_for_images() -> None:
    with pytest.raises(DataError, match=r"data.prepare.impute: images have no missing .*; remove"):
        fit_preparation(np.zeros((2, 1, 2, 2)), PrepareConfig(impute="median"))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.just(float("nan"))


@given(
    st.lists(NUMBERS, min_size=1, max_size=8),
    st.lists(NUMBERS, min_size=1, max_size=8),
    st.sampled_from(["mean", "median", "most_frequent"]),
    st.sampled_from(["standard", "minmax", "none"]),
)
@settings(max_examples=150, deadline=None)
def test_nan_and_infinity_never_come_out_of_any_float(
    train: list[float], later: list[float], impute: str, scale: str
) -> None:
    preparation = fitted(pd.DataFrame({"n": train}), impute=impute, scale=scale)
    for values in (train, later):
        assert np.isfinite(preparation.apply(pd.DataFrame({"n": values}))).all()


@given(
    st.lists(st.tuples(NUMBERS, st.none() | st.text(max_size=3)), min_size=1, max_size=8),
    st.sampled_from(["standard", "minmax", "none"]),
)
@settings(max_examples=60, deadline=None)
def test_a_preparation_is_json_both_ways(rows: list[tuple[float, str | None]], scale: str) -> None:
    frame = pd.DataFrame(
        {
            "n": pd.Series([number for number, _ in rows], dtype=float),
            "c": pd.Series([text for _, text in rows], dtype=object),
        }
    )
    preparation = fitted(frame, scale=scale)
    text = preparation.model_dump_json()
    assert TablePreparation.model_validate_json(text) == preparation
    assert TablePreparation.model_validate(json.loads(text)) == preparation
    again = TablePreparation.model_validate_json(text).apply(frame)
    np.testing.assert_array_equal(again, preparation.apply(frame))


def test_columns_are_told_apart_by_kind() -> None:
    columns = TablePreparation.model_validate_json(fitted(FRAME).model_dump_json()).columns
    assert [type(column) for column in columns] == [NumericColumn, CategoryColumn]
