from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_modules.data.cache import prepare_cached
from lightning_modules.data.config import NpzConfig
from lightning_modules.data.npz import load_npz
from lightning_modules.data.prepared import prepare_task
from lightning_modules.data.raw import load
from lightning_modules.errors import DataError

Y = np.array(["a", "b"] * 6)
RANDOM = np.random.default_rng(0)


def saved(folder: Path, **arrays: Any) -> str:
    path = folder / "data.npz"
    np.savez(path, **{"y": Y, **arrays})
    return str(path)


@pytest.mark.parametrize(
    ("x", "settings", "kind", "shape"),
    [
        (RANDOM.normal(size=(12, 3)), {}, "features", (3,)),
        (RANDOM.normal(size=(12, 3)), {"sequences": True}, "sequence", (3, 1)),
        (RANDOM.integers(9, size=(12, 5, 2)), {}, "sequence", (5, 2)),
        (RANDOM.normal(size=(12, 1, 4, 4)), {}, "image", (1, 4, 4)),
        (np.array([f"good {i}" for i in range(12)]), {}, "text", (2,)),
    ],
)
def test_the_shape_of_the_inputs_says_what_they_are(
    tmp_path: Path, x: Any, settings: dict[str, Any], kind: str, shape: tuple[int, ...]
) -> None:
    config = NpzConfig(path=saved(tmp_path, x=x), **settings)
    data = prepare_task(config, task_kind="binary", with_test=True)
    assert (data.input_kind, data.input_shape) == (kind, shape)
    assert data.test is not None
    assert sum(data.n_rows.values()) == 12
    cached = prepare_cached(config, task_kind="binary", folder=tmp_path / "cache")
    assert bool((cached.train.x == data.train.x).all())


def test_lengths_say_which_steps_are_real(tmp_path: Path) -> None:
    x, lengths = RANDOM.normal(size=(12, 5, 2)), RANDOM.integers(1, 6, size=12)
    config = NpzConfig(path=saved(tmp_path, x=x, lengths=lengths))
    raw = load(config, task_kind="binary")
    assert [len(row) for row in raw.x] == lengths.tolist()
    data = prepare_task(config, task_kind="binary")
    rows = len(data.train.x)
    assert data.train.x.shape == (rows, int(data.train.x[..., -1].sum(1).max()), 3)


def test_given_test_rows_are_the_test_split(tmp_path: Path) -> None:
    arrays = {"a": RANDOM.normal(size=(12, 3)), "a_test": np.ones((2, 3)), "y_test": Y[:2]}
    path = saved(tmp_path, **arrays)
    data = prepare_task(NpzConfig(path=path, x="a", test=None), task_kind="binary", with_test=True)
    assert data.n_rows["test"] == 2
    with pytest.raises(DataError, match=r"'a_test' is the test split: data.test 0.2 would have no"):
        load_npz(NpzConfig(path=path, x="a"))


@pytest.mark.parametrize(
    ("arrays", "settings", "message"),
    [
        ({"x": Y}, {"y": "z"}, "data.y: no array 'z'; did you mean|data.y: no array 'z'; known"),
        ({"x": Y}, {"x": "xx"}, "data.x: no array 'xx'; did you mean 'x'"),
        ({"x": Y, "x_test": Y}, {}, "has 'x_test', but no 'y_test'; give both or none"),
        ({"x": np.ones(12)}, {}, r"data.npz: x: x has shape \(12,\); \(rows, features\), seq"),
        ({"x": np.ones((12, 2, 2))}, {"sequences": True}, "data.sequences has no effect on float"),
        ({"x": np.ones((12, 2)), "lengths": np.ones(12)}, {}, r"has lengths, but shape \(12, 2\)"),
        (
            {"x": np.ones((12, 2, 2)), "lengths": np.ones(12)},
            {},
            r"lengths are float64 of shape \(12,\); expected whole numbers of shape \(12,\)",
        ),
        (
            {"x": np.ones((12, 2, 2)), "lengths": np.array([2] * 10 + [0, 3])},
            {},
            "row 11 has 0 steps; lengths must be between 1 and 2",
        ),
        ({"x": np.array([None] * 12)}, {}, "cannot be read: Object arrays cannot be loaded"),
        ({"x": np.ones((11, 2))}, {}, "x has 11 rows and y has 12"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(NpzConfig(path=saved(tmp_path, **arrays), **settings), task_kind="binary")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"text", None])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read|is no archive|no such file"):
        load_npz(NpzConfig(path=str(path)))
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(DataError, match=r"holds one array, no archive; save it with numpy.savez"):
        load_npz(NpzConfig(path=str(tmp_path / "one.npy")))
