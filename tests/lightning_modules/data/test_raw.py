from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from lightning_modules.data.config import SOURCES, Source, SourceConfig
from lightning_modules.data.kinds import ragged
from lightning_modules.data.raw import RawData, load, loader_of
from lightning_modules.errors import DataError, PluginError

GIVEN: dict[str, RawData] = {}


class GivenConfig(SourceConfig):
    source: Literal["given"] = "given"


def give(config: SourceConfig) -> RawData:
    return GIVEN["raw"]


@pytest.fixture(autouse=True)
def source() -> Iterator[None]:
    SOURCES._entries["given"] = Source(config=GivenConfig, loader=give)
    yield
    del SOURCES._entries["given"]


def loaded(x: Any, y: Any, task_kind: str = "regression", test: Any = None) -> RawData:
    GIVEN["raw"] = RawData(x=x, y=y, where="g", official_test=test)
    return load(GivenConfig(), task_kind=task_kind)


def table(n: int) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(float(n))})


def test_classes_become_text_and_numbers_float64() -> None:
    raw = loaded(table(6), np.array([0, 1] * 3), "binary")
    assert list(raw.y) == ["0", "1"] * 3
    assert loaded(table(2), np.array([1, 2])).y.dtype == np.float64
    assert list(loaded(table(2), np.array(["1.5", "2"], dtype=object)).y) == [1.5, 2.0]


def test_features_in_an_array_become_a_table() -> None:
    raw = loaded(np.zeros((2, 3), dtype=np.int8), np.zeros(2))
    assert isinstance(raw.x, pd.DataFrame)
    assert list(raw.x.columns) == ["x0", "x1", "x2"]


def test_a_text_column_that_its_source_calls_categorical_is_not_judged_again() -> None:
    ids = pd.DataFrame({"a": pd.Series([f"id {i}" for i in range(60)], dtype=object)})
    assert len(loaded(ids, np.zeros(60)).x) == 60


@pytest.mark.parametrize(
    ("x", "y", "kind", "message"),
    [
        (table(0), np.zeros(0), "regression", "g: has no rows"),
        (table(2), np.zeros(3), "regression", "x has 2 rows and y has 3"),
        (np.zeros((2, 3, 4, 1, 1)), np.zeros(2), "regression", r"x has shape \(2, 3, 4, 1, 1\); "),
        (np.zeros((2, 0, 4)), np.zeros(2), "regression", "g: row 1 has no steps; remove the row"),
        (np.zeros((2, 3, 0)), np.zeros(2), "regression", "row 1 has 0 channels; expected at least"),
        (
            np.array([[[1.0]], [[np.inf]]]),
            np.zeros(2),
            "regression",
            "g: row 2 has an infinite number; correct or remove it",
        ),
        (
            ragged([np.zeros((2, 1)), np.zeros((3, 2))]),
            np.zeros(2),
            "regression",
            "g: row 2 has 2 channels; expected 1",
        ),
        (
            ragged([np.zeros((2, 1)), np.array([["a"]])]),
            np.zeros(2),
            "regression",
            r"g: row 2 is <U1 of shape \(1, 1\); a sequence is numbers of shape \(steps, ch",
        ),
        (
            np.zeros((2, 1, 2, 2), dtype=object),
            np.zeros(2),
            "regression",
            "images are of type object",
        ),
        (
            np.stack([np.zeros((1, 2, 2)), np.full((1, 2, 2), np.nan)]),
            np.zeros(2),
            "regression",
            "image 2 has a pixel that is NaN or infinite",
        ),
        (
            pd.DataFrame({"a": [0, np.inf]}),
            np.zeros(2),
            "regression",
            "column 'a' has an infinite number in row 2",
        ),
        (table(2), np.zeros((2, 1)), "regression", r"the target has shape \(2, 1\); one value per"),
        (
            table(4),
            np.array([1, np.nan, 3, np.nan]),
            "regression",
            "2 rows have no target, the first is row 2; drop",
        ),
        (
            table(3),
            np.array(["a", None, "b"], dtype=object),
            "binary",
            "1 rows have no target, the first is row 2",
        ),
        (
            table(2),
            np.array(["1", "x"], dtype=object),
            "regression",
            "the target of row 2 is 'x', not a number; correct it, or set task.kind: multiclass",
        ),
        (table(2), np.array([0, -np.inf]), "regression", "the target of row 2 is infinite"),
        (table(3), np.zeros(3), "multiclass", "the target has one class only: '0'"),
        (
            table(9),
            np.array(list("abc") * 3),
            "binary",
            "has 3 classes: 'a', 'b', 'c'; task.kind: multiclass",
        ),
        (
            table(7),
            np.array(list("aaabbbc")),
            "multiclass",
            "class 'c' has only 1 row; each class needs 3, one for each split: add rows or drop",
        ),
        (
            table(5),
            np.array(list("aaabb")),
            "binary",
            "class 'b' has only 2 rows",
        ),
        (
            table(20),
            np.arange(20) / 7,
            "multiclass",
            "only 1 row; .* for numbers to predict set task.kind: regression",
        ),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(
    x: Any, y: Any, kind: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        loaded(x, y, kind)


def test_an_official_test_split_is_checked_too() -> None:
    raw = loaded(table(4), np.arange(4.0), test=(table(1), np.array([7])))
    assert raw.official_test is not None
    assert list(raw.official_test[1]) == [7.0]
    with pytest.raises(DataError, match=r"g \(test split\): has no rows"):
        loaded(table(4), np.arange(4.0), test=(table(0), np.zeros(0)))


def test_an_unknown_task_kind_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"task.kind: unknown 'regresion'; did you mean 'regression"
    ):
        loaded(table(2), np.zeros(2), "regresion")


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ("no_such_module:f", "its loader no_such_module:f fails: No module named"),
        ("lightning_modules.data.raw:no_such", "has no attribute 'no_such'"),
        ("", "brings a data module, not rows"),
    ],
)
def test_a_loader_that_cannot_be_imported_is_named(loader: str, message: str) -> None:
    SOURCES._entries["given"] = Source(config=GivenConfig, loader=loader)
    with pytest.raises(PluginError, match=message):
        loader_of(GivenConfig())


def test_moments_stay_moments_without_their_offset() -> None:
    x = table(4)
    x["when"] = pd.date_range("2024-01-31", periods=4, tz="Asia/Tokyo")
    found = loaded(x, np.arange(4.0)).x
    assert isinstance(found, pd.DataFrame)
    assert str(found["when"].dtype) == "datetime64[us]"
    assert found["when"][0] == pd.Timestamp("2024-01-31")
