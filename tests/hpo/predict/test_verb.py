"""`hpo predict` as it is typed: what it writes where, what it refuses, what it does not load."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pytest

from hpo.predict import csv_blocks, csv_rows
from hpo.predict.opening import open_predictor
from hpo.predict.runs import RunPredictor
from lightning_modules.config import RunConfig
from lightning_modules.train import train

ROWS = [(i % 9 if i % 5 else "", ("B", "C")[i % 2], ("no", "yes")[i % 3 == 0]) for i in range(60)]
TABLE = "age,town,y\n" + "".join(f"{age},{town},{y}\n" for age, town, y in ROWS)
ONNX = pytest.mark.skipif(
    find_spec("onnxscript") is None or find_spec("onnxruntime") is None, reason="needs hpo[export]"
)
LOADED = """
import sys, hpo.cli
try:
    hpo.cli.main()
finally:
    heavy = ("torch", "pytorch_lightning", "sklearn", "optuna")
    print("loaded:", [name for name in heavy if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run on a small table."""
    folder = tmp_path_factory.mktemp("verb")
    (folder / "data.csv").write_text(TABLE)
    sections = {
        "task": {"kind": "binary"},
        "data": {"source": "csv", "path": str(folder / "data.csv"), "target": "y"},
        "model": {"family": "mlp", "n_layers": 1, "width": 8},
        "optimizer": {"name": "adamw", "lr": 0.1},
        "trainer": {"max_epochs": 1, "batch_size": 32, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(sections), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def onnx(run: Path) -> Path:
    """Return the model file of that run."""
    from hpo.export.export import Wanted, export

    data = f"data.path={run.parent / 'data.csv'}"
    wanted = Wanted(form="onnx", output=run.parent / "model.onnx", sets=(data,))
    return export(str(run), wanted, results=run.parent, say=lambda _: None).file


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a table of new rows in a folder of its own, where commands are typed."""
    folder = tmp_path / "a 'b' c"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = folder / "new.csv"
    path.write_text('id,age,town\n007,1,B\n-x,,C\n"a, b",3,"B"\n')
    return path


def test_predictions_go_to_stdout_and_the_rest_to_stderr(cli, run: Path, new: Path) -> None:
    said = cli("predict", run, new, "--keep", "id", "--keep", "age")
    assert said.code == 0
    names, *rows = (line.rsplit(",", 1) for line in said.out.splitlines())
    assert names == ["id,age", "prediction"]
    assert [row[0] for row in rows] == ["007,1", "'-x,", '"a, b",3']
    assert {row[1] for row in rows} <= {"yes", "no"}
    first, last = said.err.splitlines()
    assert first == "loading torch…"
    assert last.startswith("3 rows in 0.")
    assert last.endswith(" rows/s")
    quiet = cli("predict", run, new, "--keep", "id", "--keep", "age", "--quiet")
    assert (quiet.out, quiet.err) == (said.out, "")


def test_the_end_of_a_file_name_says_how_it_is_written(cli, run: Path, new: Path) -> None:
    for name in ("p.csv", "p.jsonl", "p.parquet", "p"):
        said = cli("predict", run, new, "-o", name, "--probabilities", "--keep", "id", "--quiet")
        assert (said.code, said.out, said.err) == (0, "", "")
    assert Path("p.csv").read_text() == Path("p").read_text()
    lines = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    frame = pd.read_parquet("p.parquet")
    assert list(frame.columns) == list(lines[0]) == ["id", "prediction", "p_no", "p_yes"]
    assert frame["id"].tolist() == [line["id"] for line in lines] == ["007", "-x", "a, b"]
    shares = pd.read_csv("p.csv")[["p_no", "p_yes"]].astype("float32")
    pd.testing.assert_frame_equal(shares, frame[["p_no", "p_yes"]])
    said = cli("predict", run, new, "-o", "p.xlsx")
    assert (said.code, "p.xlsx: predictions are not written as .xlsx" in said.err) == (2, True)
    before = Path("/dev/null").stat().st_rdev
    assert cli("predict", run, new, "--keep", "id", "-o", "/dev/null").code == 0
    assert Path("/dev/null").stat().st_rdev == before


def test_a_study_is_named_as_other_verbs_name_it(cli, finished, tmp_path: Path) -> None:
    path = tmp_path / "iris.npy"
    np.save(path, np.ones((2, 4)))
    results = finished.results
    by_name = cli("predict", "tiny", path, "--results", results)
    by_path = cli("predict", results / "tiny", path)
    assert (by_name.code, by_name.out) == (0, by_path.out), by_name.err
    misspelt = cli("predict", "tinny", path, "--results", results)
    assert misspelt.code == 2
    assert misspelt.err.endswith("no study 'tinny' in " + f"{results}/; did you mean 'tiny'?\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "new.csv: is empty; a header line and rows are needed"),
        ("age,town\n", "new.csv: has a header but no rows; at least one row of data is needed"),
        ("Age,town\n1,B\n", "columns not expected: 'Age'; is 'Age' meant to be 'age'? expected: "),
        ("age,town\n1,B\n2\n", "new.csv: line 3 has 1 fields, the header has 2"),
        ("age,town\n1,B\ninf,B\n", "column 'age' holds numbers, but row 2 has 'inf'"),
    ],
)
def test_a_table_that_does_not_fit_leaves_no_file(
    cli, run: Path, new: Path, text: str, message: str
) -> None:
    new.write_text(text)
    for to in ("p.csv", "p.jsonl", "p.parquet"):
        said = cli("predict", run, new, "-o", to)
        assert (said.code, said.out) == (2, "")
        assert message in said.err
        assert [path.name for path in new.parent.iterdir()] == ["new.csv"]


def test_a_late_error_leaves_no_file_and_keeps_the_old_one(
    cli, run: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 30)
    new.write_text("age,town\n" + "1,B\n" * 50 + "x,B\n")
    Path("p.csv").write_text("old")
    said = cli("predict", run, new, "-o", "p.csv")
    assert said.code == 2
    assert "column 'age' holds numbers, but row 51 has 'x'" in said.err
    assert Path("p.csv").read_text() == "old"
    assert sorted(path.name for path in new.parent.iterdir()) == ["new.csv", "p.csv"]


def test_what_has_no_effect_is_refused(cli, run: Path, new: Path) -> None:
    for column, message in (
        ("ids", "has no column 'ids'; did you mean 'id'?"),
        ("prediction", "a column 'prediction' is made, and cannot be copied through too"),
    ):
        said = cli("predict", run, new, "--keep", column)
        assert (said.code, said.out) == (2, "")
        assert f"--keep: {message}" in said.err.replace(f"{new} ", "")
    Path("images").mkdir()
    for source, message in (
        ("images", "images: is a folder, but the model was not trained on image files"),
        ("no.csv", "no.csv: there is no such file"),
        ("no.parquet", "no.parquet: there is no such file"),
    ):
        said = cli("predict", run, source)
        assert (said.code, message in said.err) == (2, True), said.err


@ONNX
def test_standard_input_gives_what_the_file_gives(
    cli, onnx: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_file = cli("predict", onnx, new, "--keep", "id", "--probabilities")
    assert from_file.code == 0, from_file.err
    monkeypatch.setattr(csv_rows, "HEAD_BYTES", 15)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(new.read_bytes())))
    assert cli("predict", onnx, "-", "--keep", "id", "--probabilities").out == from_file.out


@ONNX
def test_a_model_file_that_is_none_is_refused(cli, onnx: Path, new: Path) -> None:
    content = onnx.read_bytes()
    Path("half.onnx").write_bytes(content[: len(content) // 2])
    Path("bit.onnx").write_bytes(content[:900] + bytes([content[900] ^ 1]) + content[901:])
    Path("text.onnx").write_text("no model")
    for name, what in (
        ("half.onnx", "half.onnx: is "),
        ("bit.onnx", "bit.onnx: is damaged"),
        ("text.onnx", "text.onnx: is no model file of hpo's"),
        ("no.onnx", "no.onnx: there is no such file; looked in"),
    ):
        said = cli("predict", name, new, "--keep", "id", "-o", "p.csv")
        assert (said.code, what in said.err) == (2, True), said.err
    assert not Path("p.csv").exists()


@ONNX
def test_an_onnx_file_predicts_as_its_run_and_loads_no_torch(
    cli, run: Path, onnx: Path, new: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "predict", onnx, new, "--keep", "id"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "loaded: []" in done.stderr
    assert done.stdout == cli("predict", run, new, "--keep", "id").out


def test_every_way_to_name_a_run_opens_it(run: Path, finished) -> None:
    assert isinstance(open_predictor(run), RunPredictor)
    best = finished.folder.best_config
    for path in (best, best.parent):
        opened = open_predictor(path)
        assert opened.answers.kind == "multiclass"
        assert opened.inputs.fitted.input_shape == [4]


@ONNX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_leaves_no_half_file(
    onnx: Path, number: signal.Signals, tmp_path: Path
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("nohup: it is not to be ended so")
    output = tmp_path / "out.csv"
    with _predicting(onnx, "-", "-o", output) as process:
        assert process.stdin is not None
        process.stdin.write(b"age,town\n" + (b"1.5" + b"0" * 200 + b",B\n") * 12_000)
        process.stdin.flush()
        assert _until(lambda: any(tmp_path.glob(".out.csv*")))
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert list(tmp_path.iterdir()) == []


@ONNX
def test_a_reader_of_standard_output_that_goes_is_no_error(onnx: Path, tmp_path: Path) -> None:
    many = tmp_path / "many.csv"
    many.write_text("age,town\n" + "1,B\n" * 100_000)
    with _predicting(onnx, many) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"prediction\n"
        process.stdout.close()
        assert (process.wait(30), process.stderr.read()) == (0, b"")


@ONNX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_that_is_full_or_closed_is_said_in_one_line(onnx: Path, new: Path) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        _predicting(onnx, new, "--keep", "id", stdout=full) as process,
    ):
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == 2
    assert said.endswith(b"stdout: cannot be written: No space left on device; free space\n")
    closed = "import sys; sys.stdout = None; from hpo.cli import main; main()"
    with _predicting(onnx, new, "--keep", "id", code=closed) as process:
        assert process.stderr is not None
        assert process.stderr.read() == b"stdout: is closed; name a file with -o\n"
        assert process.wait(30) == 2


def _predicting(
    *arguments: object,
    stdout: IO[bytes] | int = subprocess.PIPE,
    code: str = "from hpo.cli import main; main()",
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", code, "predict", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def _until(true: Callable[[], bool]) -> bool:
    """Wait until something is so, half a minute at most."""
    end = time.monotonic() + 30
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@ONNX
def test_ctrl_c_ends_a_command_that_waits_for_standard_input(onnx: Path) -> None:
    command = [sys.executable, "-c", "from hpo.cli import main; main()", "predict", onnx, "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        row = b"1.5" + b"0" * 200 + b",B\n"  # few rows fill a block: the answers fit into the pipe
        process.stdin.write(b"age,town\n" + row * 12_000)
        process.stdin.flush()
        assert process.stdout.readline() == b"prediction\n"  # of what came, and it waits for more
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
