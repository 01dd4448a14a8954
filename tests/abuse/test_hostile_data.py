"""Row A9 of the abuse matrix: data that nobody can learn from, or that would leave their folder."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_modules.build import open_data
from lightning_modules.config import RunConfig
from lightning_modules.errors import DataError
from lightning_modules.train import train

Call = Callable[..., Any]
HEAD = "size,colour,kind\n"
ROWS = [f"{n % 7}.5,{'red' if n % 2 else 'blue'},{'ab'[n % 2]}" for n in range(60)]


def table(*rows: str, head: str = HEAD) -> str:
    return head + "".join(f"{row}\n" for row in rows)


BAD = {
    "no rows": (HEAD, "has a header but no rows; at least one row of data is needed"),
    "nothing": ("", "is empty; a header line and rows are needed"),
    "no target": (table(*ROWS, head="size,colour,sort\n"), "data.target: no column 'kind'"),
    "inf": (
        table(*ROWS, "inf,red,a"),
        "column 'size' has an infinite number in row 61; correct it, or leave it empty",
    ),
    "huge": (table(*ROWS, "1e999,red,a"), "column 'size' has an infinite number in row 61"),
    "one class": (table(*(row[:-1] + "a" for row in ROWS)), "the target has one class only: 'a'"),
    "three classes": (
        table(*ROWS, "1.5,red,c"),
        "task.kind is binary, but the target has 3 classes: 'a', 'b', 'c'",
    ),
    "a class of one row": (
        table(*(row[:-1] + "a" for row in ROWS), "1.5,red,c"),
        "class 'c' has only 1 row; each class needs 3",
    ),
    "no label": (table(*ROWS, "1.5,red,"), "1 rows have no target, the first is row 61"),
    "empty column": (
        table(*(f",{row.split(',', 1)[1]}" for row in ROWS)),
        "column 'size' has no values; name it in data.ignore",
    ),
    "ragged": (table(*ROWS, "1.5,red,a,b"), "line 62 has 4 fields, the header has 3"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder two levels deep to work in; what escapes is seen from ``tmp_path``."""
    folder = tmp_path / "above" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    Path("study.yaml").write_text(
        "name: hostile\n"
        "task: {kind: binary}\n"
        "data: {source: csv, path: hostile.csv, target: kind}\n"
        "model: {family: mlp, n_layers: 1, width: {low: 4, high: 8}}\n"
        "trainer: {max_epochs: 2, batch_size: 32, accelerator: cpu}\n"
        "budget: {trials: 2}\n"
        "search: {sampler: random, pruner: none}\n"
    )
    return tmp_path


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("bad", BAD)
def test_a9_a_table_that_cannot_be_learned_from_is_refused_in_one_line_and_leaves_nothing(
    cli: Call, here: Path, bad: str, verb: str
) -> None:
    text, message = BAD[bad]
    Path("hostile.csv").write_text(text)
    before = files_below(here)
    said = cli(verb, "study.yaml", *(["--workers", 0, "--quiet"] if verb == "run" else []))
    assert (said.code, said.out) == (2, "")
    told = [line for line in said.err.splitlines() if line != "loading torch…"]
    assert len(told) == 1, said.err
    assert told[0].startswith(f"hostile.csv: {message}")
    assert files_below(here) == before


def test_a9_constant_columns_are_trained_on_and_do_no_harm(cli: Call, here: Path) -> None:
    rows = [f"{row.split(',')[0]},same,{row[-1]},7" for row in ROWS]
    Path("constant.csv").write_text(table(*rows, head="size,colour,kind,number\n"))
    given = ("--set", "data.path=constant.csv", "--workers", 0, "--quiet", "--json")
    said = cli("run", "study.yaml", *given)
    assert said.code == 0
    assert '"failed": 0' in said.out


def test_a9_labels_and_categories_that_training_never_saw_are_passed_over_in_prediction(
    cli: Call, here: Path
) -> None:
    Path("seen.csv").write_text(table(*ROWS))
    given = ("--set", "data.path=seen.csv", "--workers", 0, "--quiet")
    assert cli("run", "study.yaml", *given).code == 0
    Path("new.csv").write_text(table("1.5,red,a", "2.5,green,zzz", "2.5,,"))
    before = files_below(here)
    said = cli("predict", "results/hostile", "new.csv")
    assert said.code == 0
    names, *labels = said.out.splitlines()
    assert names == "prediction"
    assert len(labels) == 3
    assert set(labels) <= {"a", "b"}
    assert files_below(here) == before


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model on iris, whose rows can be an array."""
    folder = tmp_path_factory.mktemp("model") / "run"
    sections = {
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "mlp", "n_layers": 1, "width": 8},
        "trainer": {"max_epochs": 1, "batch_size": 60, "accelerator": "cpu"},
    }
    train(RunConfig.model_validate(sections), folder)
    return folder


def array_bytes() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones((2, 4)))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["../../escaped.npy", "/tmp/escaped-{}.npy", "..\\up.npy"])
def test_a9_an_archive_whose_member_names_a_place_is_read_and_writes_nothing_there(
    cli: Call, here: Path, model: Path, name: str
) -> None:
    name = name.format(here.name)
    with zipfile.ZipFile("rows.npz", "w") as archive:
        archive.writestr(name, array_bytes())
    before = files_below(here)
    said = cli("predict", model, "rows.npz", "-o", "out.csv")
    assert said.code == 0
    new = set(files_below(here)) - set(before)
    assert {Path(path).name for path in new} == {"out.csv"}
    assert len(Path("out.csv").read_text().splitlines()) == 3
    assert not Path(name).exists()


def test_a9_an_array_that_claims_more_than_there_is_memory_is_refused(
    cli: Call, here: Path, model: Path
) -> None:
    """Its header claims an exabyte, in a file of a few hundred bytes."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (31250000000000000, 4), }"
    header += b" " * (118 - 1 - len(header)) + b"\n"
    with zipfile.ZipFile("rows.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + bytes([118, 0]) + header + bytes(64))
    said = cli("predict", model, "rows.npz", "-o", "out.csv")
    assert (said.code, said.out) == (2, "")
    assert "rows.npz: is no array (" in said.err
    assert not Path("out.csv").exists()


def test_a9_equal_rows_do_not_stand_in_two_splits(here: Path) -> None:
    Path("equal.csv").write_text(table(*ROWS))  # of which few are different
    sections = {
        "task": {"kind": "binary"},
        "data": {"source": "csv", "path": "equal.csv", "target": "kind"},
        "model": {"family": "mlp"},
    }
    prepared = open_data(RunConfig.model_validate(sections)).prepared
    assert prepared is not None
    learned, judged = (
        {tuple(row) for row in part.x.tolist()} for part in (prepared.train, prepared.validation)
    )
    assert not learned & judged


@pytest.mark.parametrize(
    "data",
    [
        {"source": "csv", "target": "y"},
        {"source": "image_folder"},
        {"source": "image_csv", "target": "y"},
        {"source": "idx"},
    ],
    ids=lambda data: data["source"],
)
def test_a9_an_archive_in_place_of_data_is_refused_and_never_unpacked(
    here: Path, data: dict[str, Any]
) -> None:
    with zipfile.ZipFile("data.zip", "w") as archive:
        archive.writestr("../escaped.csv", "x,y\n1,a\n")
    model = {"family": "mlp", "n_layers": 1}
    config = RunConfig.model_validate(
        {"task": {"kind": "binary"}, "data": {"path": "data.zip", **data}, "model": model}
    )
    with pytest.raises(DataError, match=r"data.zip: is an archive; unpack it, and give the file"):
        open_data(config)
    assert not (here.parent / "escaped.csv").exists()
