from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_modules.data import arrays
from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.config import ArraysConfig
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.prepared import PreparedData, prepare_task
from lightning_modules.data.raw import RawData
from lightning_modules.data.split import make_split
from lightning_modules.errors import DataError
from lightning_modules.registry import Registry

N = 30
LABELS = np.array(list("abc") * 10)


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(arrays, "GIVEN", Registry[RawData]("given arrays"))
    return


def table() -> pd.DataFrame:
    numbers = np.random.default_rng(0).normal(size=N)
    return pd.DataFrame({"n": numbers, "c": list("xyz") * 10})


def prepared(x: Any, y: Any, kind: str = "multiclass", **options: Any) -> PreparedData:
    name = f"data {len(arrays.GIVEN)}"
    give_arrays(name, x, y)
    return prepare_task(ArraysConfig(name=name), task_kind=kind, **options)


@pytest.mark.parametrize(
    ("y", "kind", "n_outputs", "classes", "dtype"),
    [
        (LABELS, "multiclass", 3, ["a", "b", "c"], torch.int64),
        (np.array([0, 1] * 15), "binary", 1, ["0", "1"], torch.int64),
        (np.arange(N), "regression", 1, None, torch.float32),
    ],
)
def test_each_kind_of_task_has_its_outputs(
    y: Any, kind: str, n_outputs: int, classes: list[str] | None, dtype: torch.dtype
) -> None:
    data = prepared(table(), y, kind)
    assert (data.n_outputs, data.classes, data.train.y.dtype) == (n_outputs, classes, dtype)
    assert data.input_kind == "features"
    assert data.input_shape == (4,) == tuple(data.train.x.shape[1:])
    assert data.train.x.dtype == torch.float32
    assert data.n_rows == {"train": 18, "validation": 6, "test": 6}
    assert (len(data.train.y), len(data.validation.y)) == (18, 6)
    if classes is not None:
        assert data.class_counts is not None
        assert sum(data.class_counts) == 18


def test_images_keep_their_shape() -> None:
    data = prepared(np.random.default_rng(0).random((N, 2, 4, 3)), LABELS)
    assert (data.input_kind, data.input_shape) == ("image", (2, 4, 3))


def test_the_test_rows_are_transformed_only_on_request() -> None:
    assert prepared(table(), LABELS).test is None
    data = prepared(table(), LABELS, with_test=True)
    assert data.test is not None
    assert len(data.test.y) == data.n_rows["test"] == 6


def test_an_official_test_split_replaces_the_share() -> None:
    give_arrays("a", table(), LABELS, test=(table()[:9], LABELS[:9]))
    config = ArraysConfig(name="a", test=None)
    assert prepare_task(config, task_kind="multiclass").n_rows == {
        "train": 24,
        "validation": 6,
        "test": 9,
    }
    data = prepare_task(config, task_kind="multiclass", with_test=True)
    assert data.test is not None
    assert len(data.test.x) == 9


def test_without_a_test_split_none_can_be_asked_for() -> None:
    give_arrays("a", table(), LABELS)
    config = ArraysConfig(name="a", test=None)
    assert prepare_task(config, task_kind="multiclass").n_rows["test"] == 0
    with pytest.raises(DataError, match=r"arrays 'a': has no test split; set data.test"):
        prepare_task(config, task_kind="multiclass", with_test=True)


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("part", ["validation", "test"])
def test_statistics_do_not_change_when_other_rows_change(part: str, scale: str) -> None:
    split = make_split(LABELS, validation=0.2, test=0.2, seed=0, stratify=True)
    changed = table()
    for row in getattr(split, part):
        changed.loc[row, ["n", "c"]] = [1000.0 + row, "new"]
    fitted = []
    for name, frame in (("a", table()), ("b", changed)):
        give_arrays(name, frame, LABELS)
        config = ArraysConfig.model_validate({"name": name, "prepare": {"scale": scale}})
        fitted.append(prepare_task(config, task_kind="multiclass"))
    assert fitted[0].fitted == fitted[1].fitted
    assert fitted[0].preparation_sha256 == fitted[1].preparation_sha256
    assert fitted[0].data_sha256 != fitted[1].data_sha256
    assert torch.equal(fitted[0].train.x, fitted[1].train.x)


def test_the_same_config_gives_the_same_bits() -> None:
    give_arrays("a", table(), LABELS)
    first, second = (prepare_task(ArraysConfig(name="a"), task_kind="multiclass") for _ in "ab")
    assert torch.equal(first.train.x, second.train.x)
    assert first.data_sha256 == second.data_sha256
    assert first.split_sha256 == second.split_sha256
    other = prepare_task(ArraysConfig(name="a", split_seed=1), task_kind="multiclass")
    assert other.split_sha256 != first.split_sha256


def test_an_earlier_preparation_is_used_as_it_is() -> None:
    first = prepared(table(), LABELS)
    fitted = Fitted.model_validate_json(first.fitted.model_dump_json())
    moved = table().assign(n=lambda frame: frame["n"] + 5)
    second = prepared(moved, LABELS, fitted=fitted)
    assert second.preparation_sha256 == first.preparation_sha256
    assert second.train.x[:, 0].mean() > first.train.x[:, 0].mean() + 1


def test_a_preparation_of_another_kind_is_refused() -> None:
    fitted = prepared(table(), LABELS).fitted
    with pytest.raises(DataError, match="regression does not fit a target of classes; use the"):
        prepared(table(), np.arange(N), "regression", fitted=fitted)
    pixels = np.arange(N * 4.0).reshape(N, 1, 2, 2)
    images = prepared(pixels, LABELS).fitted
    with pytest.raises(DataError, match="is a table, but the preparation is for images"):
        prepared(table(), LABELS, fitted=images)
    with pytest.raises(DataError, match="are images, but the preparation is for a table"):
        prepared(pixels, LABELS, fitted=fitted)
