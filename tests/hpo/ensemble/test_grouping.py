"""Which rows of a split belong together, as its data say."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo.ensemble.grouping import arrange
from lightning_modules.build import open_data
from lightning_modules.config import RunConfig

N = 120


def config_of(place: Path, frame: pd.DataFrame, **data: Any) -> RunConfig:
    frame.to_csv(place / "rows.csv", index=False)
    source = {"source": "csv", "path": str(place / "rows.csv"), "target": "y", **data}
    return RunConfig.model_validate(
        {"task": {"kind": "binary"}, "data": source, "model": {"family": "mlp"}}
    )


def rows_of(config: RunConfig, split: str) -> Any:
    data = open_data(config, with_test=split == "test").prepared
    assert data is not None
    return arrange(config, data, split=split), data.validation if split != "test" else data.test


def table(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(N) * 1.0, "y": np.arange(N) % 2, **columns})


def test_rows_are_their_own_units_but_for_equal_ones(tmp_path: Path) -> None:
    rows, _ = rows_of(config_of(tmp_path, table()), "validation")
    assert (rows.kept_together, rows.even) == ("rows", True)
    twice = table(x=np.arange(N) // 3 * 1.0)
    rows, found = rows_of(config_of(tmp_path, twice), "validation")
    x = found.x[:, 0].numpy()
    assert not rows.even
    assert (rows.units[:, None] == rows.units).tolist() == (x[:, None] == x).tolist()


def test_groups_are_those_of_their_column_in_either_split(tmp_path: Path) -> None:
    frame = table(patient=[f"p{n // 4}" for n in range(N)])
    config = config_of(tmp_path, frame, split="grouped", group="patient", use_split_column=False)
    for split in ("validation", "test"):
        rows, found = rows_of(config, split)
        preparation = open_data(config).prepared.fitted.preparation.columns[0]
        x = (found.x[:, 0].numpy() * preparation.scale + preparation.center).round().astype(int)
        patients = x // 4
        assert rows.kept_together == "groups"
        same = patients[:, None] == patients
        assert (rows.units[:, None] == rows.units).tolist() == same.tolist()


def test_times_are_numbered_in_their_order_wherever_their_rows_stand(tmp_path: Path) -> None:
    days = np.random.default_rng(0).permutation(N) // 2
    config = config_of(tmp_path, table(x=days * 1.0, day=days), split="time", time="day")
    for split in ("validation", "test"):
        rows, found = rows_of(config, split)
        x = found.x[:, 0].numpy()
        assert (rows.kept_together, rows.gap) == ("time", 0)
        assert np.array_equal(rows.units, np.unique(x, return_inverse=True)[1])
