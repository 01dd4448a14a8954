"""Every setting of `data.prepare` changes what a network is given, and nothing of the raw rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.config import ArraysConfig, CsvConfig, PrepareConfig
from lightning_modules.data.prepared import PreparedData, prepare_task

OTHERS: dict[str, list[Any]] = {
    "impute": ["median", "most_frequent"],
    "indicator": [True],
    "clip": [0.05, 0.1],
    "rare": [0.1, 12.0],
    "scale": ["robust", "quantile", "minmax", "none"],
    "pca": [3.0, 0.6],
    "target": ["log", "none"],
}
CHANGES = [(name, value) for name, values in OTHERS.items() for value in values]
OF_STEPS: dict[str, list[Any]] = {"length": [3, 30], "difference": [1, 2]}
OF_TEXTS: dict[str, list[Any]] = {
    "tokens": ["characters", "bpe"],
    "vocabulary": [3],
    "lowercase": [False],
    "length": [2, 40],
}
SEQUENCES = [(name, value) for name, values in OF_STEPS.items() for value in values]
SEQUENCES += [("impute", "median"), ("scale", "robust"), ("scale", "minmax"), ("scale", "none")]
TEXTS = [(name, value) for name, values in OF_TEXTS.items() for value in values]


def prepared(folder: Path, of: Any, **prepare: Any) -> PreparedData:
    frame = pd.DataFrame(
        {
            "n": [None if i % 6 == 0 else float(i % 13) ** 2 for i in range(90)],
            "m": [i * 0.7 for i in range(90)],
            "c": [None if i % 8 == 0 else "abcd"[min(i % 11, 3)] for i in range(90)],
            "d": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(90)],
            "y": [1.0 + i % 17 for i in range(90)],
            "z": [5.0 + i * 3 for i in range(90)],
        }
    )
    frame.to_csv(folder / "t.csv", index=False)
    config = CsvConfig.model_validate(
        {"path": str(folder / "t.csv"), "target": of, "prepare": prepare}
    )
    return prepare_task(config, task_kind="regression")


def test_every_setting_is_tried_here() -> None:
    assert {*OTHERS, *OF_STEPS, *OF_TEXTS} == set(PrepareConfig.model_fields)


@pytest.mark.parametrize("of", ["y", ["y", "z"]], ids=str)
@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_setting_changes_the_preparation_and_nothing_else(
    tmp_path: Path, name: str, value: Any, of: Any
) -> None:
    plain, other = prepared(tmp_path, of), prepared(tmp_path, of, **{name: value})
    assert (plain.data_sha256, plain.split_sha256) == (other.data_sha256, other.split_sha256)
    assert plain.preparation_sha256 != other.preparation_sha256
    rows = (plain.train, other.train)
    equal = [rows[0].x.shape == rows[1].x.shape and bool((rows[0].x == rows[1].x).all())]
    equal.append(bool((rows[0].y == rows[1].y).all()))
    assert equal == [name == "target", name != "target"]
    assert all(bool(one.isfinite().all()) for one in (other.train.x, other.validation.x))


def of_rows(x: Any, **prepare: Any) -> PreparedData:
    name = f"contract {type(x[0]).__name__}"
    give_arrays(name, x, ["a", "b"] * (len(x) // 2))
    config = ArraysConfig.model_validate({"name": name, "prepare": prepare})
    return prepare_task(config, task_kind="binary")


def changes_inputs_alone(plain: PreparedData, other: PreparedData) -> None:
    assert (plain.data_sha256, plain.split_sha256) == (other.data_sha256, other.split_sha256)
    assert plain.preparation_sha256 != other.preparation_sha256
    assert not torch.equal(plain.train.x, other.train.x)
    assert torch.equal(plain.train.y, other.train.y)


@pytest.mark.parametrize(("name", "value"), SEQUENCES)
def test_a_setting_changes_what_sequences_become(name: str, value: Any) -> None:
    generator = np.random.default_rng(0)
    rows = [generator.normal(2, 3, size=(4 + i % 7, 2)) for i in range(40)]
    for row in rows[::3]:
        row[1, 0] = np.nan
    changes_inputs_alone(of_rows(rows), of_rows(rows, **{name: value}))


@pytest.mark.parametrize(("name", "value"), TEXTS)
def test_a_setting_changes_what_texts_become(name: str, value: Any) -> None:
    rows = [f"Some text {i}, or {'NO' if i % 2 else 'no'} more of {i % 3}" for i in range(40)]
    changes_inputs_alone(of_rows(rows), of_rows(rows, **{name: value}))
