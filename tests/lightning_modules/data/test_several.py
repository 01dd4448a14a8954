from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_modules.data.arrays import give_arrays
from lightning_modules.data.config import ArraysConfig, CsvConfig
from lightning_modules.data.fingerprint import fingerprint_data
from lightning_modules.data.frames import data_row
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.raw import load
from lightning_modules.data.several import check_labels, several_targets
from lightning_modules.data.target import LabelsTarget, NumbersTarget
from lightning_modules.errors import DataError


def read(columns: dict[str, list[Any]], kind: str = "multilabel") -> Any:
    frame = pd.DataFrame(columns)
    return several_targets(frame, list(columns), task_kind=kind, where="t.csv", place=data_row)


def config(path: Path, target: list[str], **more: Any) -> CsvConfig:
    return CsvConfig.model_validate({"path": str(path), "target": target, **more})


def table(path: Path) -> Path:
    n = np.arange(60)
    frame = pd.DataFrame({"x": n * 0.5, "a": n % 2, "b": np.where(n % 3, "Yes", "no")})
    frame["low"], frame["high"] = n * 2.0 + 1, n**2 * 1000.0
    frame.to_csv(path, index=False)
    return path


def test_labels_are_0_and_1_however_they_are_written() -> None:
    found = read({"a": [0, 1], "b": ["no", "YES"], "c": [True, False], "d": ["false", " True "]})
    assert found.tolist() == [[0, 0, 1, 0], [1, 1, 0, 1]]
    assert read({"a": [1.0, 0.0], "b": ["1", "0"]}).tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        (
            {"a": [0, 2], "b": [0, 1]},
            "multilabel",
            "the label 'a' is 2 in row 2; write 0 or 1,",
        ),
        ({"a": [0, 1], "b": ["y", "n"]}, "multilabel", "the label 'b' is 'y' in row 1; write 0 or"),
        ({"a": [0, 1], "b": [1, None]}, "multilabel", "'b' is missing in 1 rows, first in row 2"),
        ({"a": [0.5, 1], "b": ["x", 1]}, "regression", "target 'b' is 'x' in row 1, no finite num"),
        ({"a": [0.5, np.inf], "b": [1, 1]}, "regression", "target 'a' is inf in row 2, no finite"),
        ({"a": [0, 1], "b": [0, 1]}, "binary", "has 2 targets, binary has one; set task.kind: mul"),
        ({"a": [0, 1], "b": [0, 1]}, "multiclass", "has 2 targets, multiclass has one"),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    columns: dict[str, list[Any]], kind: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(columns, kind)


def test_the_line_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,a,b\n" + "1,0,1\n" * 3 + "2,maybe,0\n" + "3,1,0\n" * 5)
    with pytest.raises(DataError, match="the label 'a' is 'maybe' in line 5; write 0 or 1"):
        load(config(path, ["a", "b"]), task_kind="multilabel")


@pytest.mark.parametrize(("label", "word"), [([1, 1, 0, 0, 0], "have"), ([0, 1, 1, 1, 1], "lack")])
def test_a_label_needs_rows_that_have_and_rows_that_lack_it(label: list[int], word: str) -> None:
    y = np.stack([np.array(label), np.array([0, 1, 0, 1, 0])], axis=1)
    with pytest.raises(DataError, match=f"rows {word} the label 'a'; 3 must: add rows, or leave"):
        check_labels(y, ["a", "b"], where="t.csv")


def test_one_column_is_no_multilabel_task() -> None:
    give_arrays("one column", np.zeros((9, 2)), np.arange(9) % 2)
    with pytest.raises(DataError, match=r"multilabel needs several labels a row: \(rows, labels\)"):
        load(ArraysConfig(name="one column"), task_kind="multilabel")


def test_several_numbers_are_scaled_each_by_its_training_rows(tmp_path: Path) -> None:
    data = prepare_task(config(table(tmp_path / "t.csv"), ["low", "high"]), task_kind="regression")
    assert (data.n_outputs, data.input_shape, data.train.y.shape) == (2, (4,), (36, 2))
    assert data.train.y.dtype == torch.float32
    torch.testing.assert_close(data.train.y.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(data.train.y.std(0, correction=0), torch.ones(2))
    target = data.fitted.target
    assert isinstance(target, NumbersTarget)
    assert target.names == ["low", "high"]
    raw = load(config(tmp_path / "t.csv", ["low", "high"]), task_kind="regression")
    back = target.invert(target.apply(np.asarray(raw.y)))
    np.testing.assert_allclose(back, np.asarray(raw.y), rtol=1e-5, atol=0.5)


def test_labels_are_given_to_a_network_as_0_and_1(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv")
    chosen = config(path, ["a", "b"], ignore=["low", "high"])
    data = prepare_task(chosen, task_kind="multilabel", with_test=True)
    assert isinstance(data.fitted.target, LabelsTarget)
    assert set(data.train.y.unique().tolist()) == {0.0, 1.0}
    assert (data.n_outputs, data.classes, data.class_counts) == (2, None, None)
    counts = torch.tensor(data.label_counts)
    assert counts.sum(1).tolist() == [36, 36]
    assert counts[:, 1].tolist() == data.train.y.sum(0).tolist()
    assert data.test is not None
    assert data.test.y.shape == (12, 2)


def test_the_fingerprint_sees_every_target() -> None:
    x, y = np.zeros((9, 2)), np.arange(18).reshape(9, 2)
    hashes = []
    for name, change in (("first", 0), ("second", 5), ("third", 0)):
        changed = y.copy()
        changed[4, 1] += change
        give_arrays(f"{name} fingerprint", x, changed)
        raw = load(ArraysConfig(name=f"{name} fingerprint"), task_kind="regression")
        hashes.append(fingerprint_data(raw))
    assert hashes[0] == hashes[2] != hashes[1]


def test_rows_whose_targets_differ_are_no_copies() -> None:
    x = np.repeat(np.arange(10.0), 3)[:, None]
    y = np.stack([x[:, 0], np.tile([0.0, 0.0, 1.0], 10)], axis=1)
    give_arrays("copies", x, y)
    chosen = ArraysConfig(name="copies", duplicates="drop")
    data = prepare_task(chosen, task_kind="regression")
    assert sum(data.n_rows.values()) == 20


def test_targets_of_a_frame_keep_their_names_and_of_an_array_are_numbered() -> None:
    x, y = np.zeros((9, 2)), np.arange(18).reshape(9, 2)
    give_arrays("named", x, pd.DataFrame(y, columns=["up", "down"]))
    give_arrays("numbered", x, torch.from_numpy(y), test=(x[:3], y[:3]))
    named, numbered = (
        load(ArraysConfig(name=name, test=None), task_kind="regression")
        for name in ("named", "numbered")
    )
    assert (named.target_names, numbered.target_names) == (["up", "down"], ["y0", "y1"])
    assert numbered.official_test is not None
    assert np.asarray(numbered.official_test[1]).shape == (3, 2)


def test_several_targets_may_be_refused_by_their_logarithm(tmp_path: Path) -> None:
    chosen = config(table(tmp_path / "t.csv"), ["low", "high"], prepare={"target": "log"})
    with pytest.raises(DataError, match=r"the target 'high' of row \d+ is 0, which has no"):
        prepare_task(chosen, task_kind="regression")
