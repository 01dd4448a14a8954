"""Row A9 of the abuse matrix: archives, sequences, texts and series that nobody can learn from."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Call = Callable[..., Any]
Y = np.array(["a", "b"] * 15)
STEPS = np.random.default_rng(0).normal(size=(30, 4, 2))
TRAINING = (
    "trainer: {max_epochs: 1, accelerator: cpu, batch_size: {choices: [8, 16]}}\n"
    "budget: {trials: 1}\n"
)


class Trap:
    """Leaves a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


def exabyte(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (31250000000000000, 4), }"
    header += b" " * (118 - 1 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + bytes([118, 0]) + header + bytes(64))


def with_a_step(value: float) -> Any:
    x = STEPS.copy()
    x[7, 1, 0] = value
    return x


ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "pickles": ({"x": np.array([Trap()] * 30), "y": Y}, "cannot be read: Object arrays cannot be"),
    "no targets": ({"x": STEPS}, "data.y: no array 'y'"),
    "no rows": ({"x": STEPS[:0], "y": Y[:0]}, "has no rows; at least one row of data is needed"),
    "no steps": ({"x": STEPS[:, :0], "y": Y}, "row 1 has no steps; remove the row"),
    "inf": ({"x": with_a_step(np.inf), "y": Y}, "row 8 has an infinite number"),
    "lengths of nothing": (
        {"x": STEPS, "y": Y, "lengths": np.arange(30)},
        "x: row 1 has 0 steps; lengths must be between 1 and 4",
    ),
    "one class": ({"x": STEPS, "y": np.array(["a"] * 30)}, "the target has one class only: 'a'"),
    "other rows": ({"x": STEPS, "y": Y[:20]}, "x has 30 rows and y has 20; give both all rows"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(cli: Call, task: str, data: str, family: str) -> str:
    """Run a study, see that it is refused in one line and leaves nothing; return the line."""
    Path("study.yaml").write_text(
        f"name: hostile\ntask: {task}\ndata: {data}\nmodel: {{family: {family}}}\n{TRAINING}"
    )
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    said = cli("run", "study.yaml", "--workers", 0, "--quiet")
    assert (said.code, said.out) == (2, "")
    (told,) = [line for line in said.err.splitlines() if line != "loading torch…"]
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return str(told)


@pytest.mark.parametrize("name", ARRAYS)
def test_a9_arrays_that_cannot_be_learned_from_are_refused(
    cli: Call, here: Path, name: str
) -> None:
    arrays, message = ARRAYS[name]
    np.savez("hostile.npz", **arrays)
    line = refused(cli, "{kind: binary}", "{source: npz, path: hostile.npz}", "gru")
    assert line.startswith(f"hostile.npz: {message}")
    assert not Path("sprung").exists()


def test_a9_an_archive_that_claims_more_than_there_is_memory_is_refused(
    cli: Call, here: Path
) -> None:
    exabyte(Path("hostile.npz"))
    line = refused(cli, "{kind: binary}", "{source: npz, path: hostile.npz}", "mlp")
    assert line.startswith("hostile.npz: cannot be read: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "said,y\n" + "".join(f"{' ' * (i + 1)},{'ab'[i % 2]}\n" for i in range(30)),
            "no training text has a word",
        ),
        ("said,y\n", "has a header but no rows"),
        ("told,y\nx,a\n", "data.text: no column 'said'"),
    ],
    ids=["blanks", "no rows", "no column"],
)
def test_a9_texts_that_cannot_be_learned_from_are_refused(
    cli: Call, here: Path, text: str, message: str
) -> None:
    Path("t.csv").write_text(text)
    data = "{source: csv, path: t.csv, target: y, text: said}"
    assert message in refused(cli, "{kind: binary}", data, "text_cnn")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f"{i},{i}" for i in range(12)], "12 steps leave 7 for training; task.window and task.h"),
        ([f"{i // 2},{i}" for i in range(90)], "line 2 and line 3 are of the same moment"),
        ([f"{i},{i if i != 40 else ''}" for i in range(90)], "1 rows have no target, the first is"),
        ([f"{i},{i if i != 40 else 'inf'}" for i in range(90)], "the target of row 41 is infinite"),
        ([f"{i if i != 7 else ''},{i}" for i in range(90)], "data.time: line 9 has no 't'"),
    ],
)
def test_a9_series_that_cannot_be_learned_from_are_refused(
    cli: Call, here: Path, rows: list[str], message: str
) -> None:
    Path("s.csv").write_text("t,y\n" + "".join(f"{row}\n" for row in rows))
    data = "{source: csv, path: s.csv, target: y, time: t}"
    line = refused(cli, "{kind: forecasting, window: 8, horizon: 2}", data, "gru")
    assert message in line


@pytest.mark.parametrize(
    ("missing", "kind"), [("x", "sequence"), ("text", "text")], ids=["NaN", "no text"]
)
def test_a9_what_is_missing_is_filled_and_trained_on(
    cli: Call, here: Path, missing: str, kind: str
) -> None:
    x: Any = with_a_step(np.nan)
    if kind == "text":
        x = np.array([f"word {i}" if i % 4 else "" for i in range(30)])
    np.savez("data.npz", x=x, y=Y)
    Path("study.yaml").write_text(
        "name: filled\ntask: {kind: binary}\ndata: {source: npz, path: data.npz}\n"
        f"model: {{family: gru, width: 4}}\n{TRAINING}"
    )
    said = cli("run", "study.yaml", "--workers", 0, "--quiet", "--json")
    assert said.code == 0
    assert '"failed": 0' in said.out
