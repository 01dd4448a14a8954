"""Nothing that is fitted depends on validation and test rows, whatever stands in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.data.config import NpzConfig
from lightning_modules.data.prepared import PreparedData, prepare_task
from lightning_modules.data.raw import load
from lightning_modules.data.repeats import cut

N = 24
Y = np.array(["a", "b"] * (N // 2))
SETTINGS: list[dict[str, Any]] = [
    {},
    {"scale": "robust", "impute": "median"},
    {"scale": "minmax", "difference": 1},
    {"length": 3},
]


def prepared(path: Path, prepare: dict[str, Any], **arrays: Any) -> tuple[PreparedData, Any]:
    np.savez(path, y=Y, **arrays)
    config = NpzConfig.model_validate({"path": str(path), "prepare": prepare})
    split = cut(load(config, task_kind="binary"), config, task_kind="binary").split
    later = np.concatenate([split.validation, split.test])
    return prepare_task(config, task_kind="binary", with_test=True), later


def check_the_same(first: PreparedData, second: PreparedData) -> None:
    assert first.split_sha256 == second.split_sha256
    assert first.fitted == second.fitted
    assert (first.train.x == second.train.x).all()
    assert (first.train.y == second.train.y).all()
    assert first.data_sha256 != second.data_sha256


@given(st.sampled_from(SETTINGS), st.integers(0, 2**16), st.floats(-1e6, 1e6), st.integers(3, 9))
@settings(max_examples=25, deadline=None)
def test_of_sequences(
    tmp_path_factory: pytest.TempPathFactory,
    prepare: dict[str, Any],
    seed: int,
    value: float,
    length: int,
) -> None:
    path = tmp_path_factory.mktemp("leaks") / "data.npz"
    generator = np.random.default_rng(seed)
    x, lengths = generator.normal(size=(N, 9, 2)), generator.integers(3, 8, size=N)
    first, later = prepared(path, prepare, x=x, lengths=lengths)
    x[later, :2] = value + generator.normal(size=(len(later), 2, 2))
    lengths[later] = length
    second, _ = prepared(path, prepare, x=x, lengths=lengths)
    check_the_same(first, second)


@given(
    st.sampled_from(["words", "characters", "bpe"]),
    st.text(max_size=20),
    st.sampled_from([{}, {"length": 2}, {"vocabulary": 5}]),
)
@settings(max_examples=25, deadline=None)
def test_of_texts(
    tmp_path_factory: pytest.TempPathFactory, tokens: str, said: str, prepare: dict[str, Any]
) -> None:
    path, settings = tmp_path_factory.mktemp("leaks") / "data.npz", {"tokens": tokens, **prepare}
    x = np.array([f"some text {i}" for i in range(N)], dtype="U40")
    first, later = prepared(path, settings, x=x)
    x[later] = [f"{i} {said} {i}" for i in range(len(later))]
    second, _ = prepared(path, settings, x=x)
    check_the_same(first, second)
    assert first.test is not None
