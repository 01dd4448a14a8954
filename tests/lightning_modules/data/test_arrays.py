from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_modules.data import arrays
from lightning_modules.data.arrays import give_arrays, load_arrays
from lightning_modules.data.config import ArraysConfig
from lightning_modules.data.raw import RawData, load
from lightning_modules.errors import DataError
from lightning_modules.registry import NameTakenError, Registry


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(arrays, "GIVEN", Registry[RawData]("given arrays"))
    return


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.ones((4, 2)), np.arange(4)),
        (torch.ones(4, 2, requires_grad=True), torch.arange(4)),
        ([[1, 1]] * 4, [0, 1, 2, 3]),
        (
            pd.DataFrame(np.ones((4, 2)), index=[5, 6, 7, 8]),
            pd.Series(range(4), index=[9, 8, 7, 6]),
        ),
        (np.ones((4, 2)), pd.DataFrame({"y": range(4)})),
    ],
)
def test_arrays_tensors_tables_and_lists_are_taken(x: Any, y: Any) -> None:
    give_arrays("a", x, y)
    raw = load(ArraysConfig(name="a"), task_kind="regression")
    assert raw.x.shape == (4, 2)
    assert list(raw.y) == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_sequences_of_different_lengths_are_a_list_of_arrays(kind: Any) -> None:
    rows = [kind([[1.0, 2.0]]), kind([[3.0, 4.0], [5.0, 6.0]]), kind([[7.0, 8.0]])]
    give_arrays("a", rows, [1, 2, 3])
    x = load(ArraysConfig(name="a"), task_kind="regression").x
    assert [np.asarray(row).tolist() for row in x] == [row.tolist() for row in rows]
    give_arrays("b", rows[::2], [1, 2])
    assert load(ArraysConfig(name="b"), task_kind="regression").x.shape == (2, 1, 2)


def test_texts_and_sequences_of_one_length_are_taken() -> None:
    give_arrays("a", torch.ones(4, 3, 2), np.arange(4))
    assert load(ArraysConfig(name="a"), task_kind="regression").x.shape == (4, 3, 2)
    for name, texts in (("b", ["one", "two"]), ("c", pd.Series(["one", "two"]))):
        give_arrays(name, texts, [1, 2])
        assert list(load(ArraysConfig(name=name), task_kind="regression").x) == ["one", "two"]


def test_a_later_change_of_the_given_array_does_not_arrive() -> None:
    x, y, images = np.ones((4, 2)), np.arange(4), torch.ones(4, 1, 2, 2)
    give_arrays("a", x, y)
    give_arrays("b", images, y)
    give_arrays("c", pd.DataFrame(x, copy=False), y)
    x[:], y[:] = 0, 0
    images.zero_()
    raw = load_arrays(ArraysConfig(name="a"))
    assert np.asarray(raw.x).all()
    assert list(raw.y) == [0, 1, 2, 3]
    for name in "bc":
        assert np.asarray(load_arrays(ArraysConfig(name=name)).x).all()


def test_a_name_is_for_one_content() -> None:
    give_arrays("a", np.ones((4, 2)), np.arange(4))
    give_arrays("a", np.ones((4, 2)), np.arange(4))
    with pytest.raises(NameTakenError, match="arrays 'a' are other data already; choose another"):
        give_arrays("a", np.zeros((4, 2)), np.arange(4))


def test_a_given_test_split_is_the_official_one() -> None:
    x, y = np.ones((4, 2)), np.arange(4)
    give_arrays("a", x, y, test=(x[:1], y[:1]))
    raw = load_arrays(ArraysConfig(name="a", test=None))
    assert raw.official_test is not None
    assert len(raw.official_test[1]) == 1
    with pytest.raises(DataError, match=r"data.test 0.2 would have no effect; set data.test: null"):
        load_arrays(ArraysConfig(name="a"))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((4, 2, 2, 1, 1)), np.ones(4), r"x has shape \(4, 2, 2, 1, 1\); \(rows, feat"),
        (np.ones(4), np.ones(4), r"x has shape \(4,\); \(rows, features\), sequences"),
        (np.ones((4, 2)), np.ones((4, 1)), r"y has shape \(4, 1\); one value per row"),
        (np.ones((4, 2)), np.ones(3), "x has 4 rows and y has 3"),
        ([[1], [1, 2]], [1, 2], "is no array: .*; give rows of equal length"),
    ],
)
def test_other_shapes_are_refused(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"arrays 'a': {message}"):
        give_arrays("a", x, y)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no arrays 'mine' were given; in Python: hpo\.give"):
        load_arrays(ArraysConfig(name="mine"))
    give_arrays("mine", np.ones((4, 2)), np.arange(4))
    with pytest.raises(DataError, match=r"no arrays 'mime' were given; did you mean 'mine'?"):
        load_arrays(ArraysConfig(name="mime"))
