"""Every setting of `data.prepare` changes what a network is given, and nothing of the raw rows."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lightning_modules.data.config import CsvConfig, PrepareConfig
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


def prepared(folder: Path, **prepare: Any) -> PreparedData:
    frame = pd.DataFrame(
        {
            "n": [None if i % 6 == 0 else float(i % 13) ** 2 for i in range(90)],
            "m": [i * 0.7 for i in range(90)],
            "c": [None if i % 8 == 0 else "abcd"[min(i % 11, 3)] for i in range(90)],
            "d": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(90)],
            "y": [1.0 + i % 17 for i in range(90)],
        }
    )
    frame.to_csv(folder / "t.csv", index=False)
    config = CsvConfig.model_validate(
        {"path": str(folder / "t.csv"), "target": "y", "prepare": prepare}
    )
    return prepare_task(config, task_kind="regression")


def test_every_setting_is_tried_here() -> None:
    assert set(OTHERS) == set(PrepareConfig.model_fields)


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_a_setting_changes_the_preparation_and_nothing_else(
    tmp_path: Path, name: str, value: Any
) -> None:
    plain, other = prepared(tmp_path), prepared(tmp_path, **{name: value})
    assert (plain.data_sha256, plain.split_sha256) == (other.data_sha256, other.split_sha256)
    assert plain.preparation_sha256 != other.preparation_sha256
    rows = (plain.train, other.train)
    equal = [rows[0].x.shape == rows[1].x.shape and bool((rows[0].x == rows[1].x).all())]
    equal.append(bool((rows[0].y == rows[1].y).all()))
    assert equal == [name == "target", name != "target"]
    assert all(bool(one.isfinite().all()) for one in (other.train.x, other.validation.x))
