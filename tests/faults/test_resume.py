"""Rows F25, F26 and F28 of the fault matrix: what the same command does again, and another one."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import StudySpec, load_study
from hpo.study import run_study

Call = Callable[..., Any]
Change = Callable[[dict[str, Any]], dict[str, Any]]

STUDY: dict[str, Any] = {
    "name": "again",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 2, "batch_size": 60, "accelerator": "cpu"},
    "objective": {"metric": "accuracy"},
    "budget": {"trials": 2},
    "search": {"sampler": "random", "pruner": "none"},
}
TABLE = "size,colour,kind\n" + "".join(
    f"{n % 7}.{n % 3},{'red' if n % 2 else 'blue'},{'ab'[n % 2]}\n" for n in range(60)
)
ON_TABLE = {
    "task": {"kind": "binary"},
    "data": {"source": "csv", "path": "t.csv", "target": "kind"},
}


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def states(results: Path) -> list[str]:
    with closing(sqlite3.connect(results / "storage.sqlite")) as database:
        rows = database.execute("select number, state from trials order by number").fetchall()
    assert [number for number, _ in rows] == list(range(len(rows)))
    return [state for _, state in rows]


def essence(results: Path) -> list[tuple[Any, ...]]:
    records = read_trials(StudyFolder(results / "again"))
    return [(r.number, r.state, r.params, r.seed, r.value, r.config_sha256) for r in records]


# F25: the same command after completion.


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_f25_the_same_command_after_completion_changes_no_file(cli, tmp_path, workers) -> None:
    command = ("run", "smoke", "--results", tmp_path / "r", "--workers", workers, "--quiet")
    first = cli(*command)
    assert first.code == 0
    before = files_below(tmp_path / "r")
    for _ in range(2):
        again = cli(*command)
        assert (again.code, again.out, again.err) == (0, first.out, "")
        assert files_below(tmp_path / "r") == before


# F26: the sequence of an interrupted study.


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_f26_five_trials_and_five_more_are_the_ten_of_one_call(
    tmp_path: Path, sampler: str
) -> None:
    search = {
        "random": {"sampler": "random", "pruner": "none"},
        "tpe": {"sampler": {"name": "tpe", "n_startup_trials": 3}, "pruner": "none"},
    }[sampler]

    def spec(trials: int) -> StudySpec:
        return load_study({**STUDY, "budget": {"trials": trials}, "search": search})

    run_study(spec(10), tmp_path / "straight")
    assert run_study(spec(5), tmp_path / "parts").end.new == 5
    assert run_study(spec(10), tmp_path / "parts").end.new == 5
    found = essence(tmp_path / "parts")
    assert found == essence(tmp_path / "straight")
    points = {json.dumps(params, sort_keys=True) for _, _, params, *_ in found}
    assert len(points) == 10, "a point was proposed twice"
    assert states(tmp_path / "parts") == ["COMPLETE"] * 10


# F28: the study file, or the data, edited between two calls.


@pytest.fixture
def call(cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that runs the study file that lies in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(TABLE)

    def run(study: dict[str, Any], workers: int = 0, *more: str) -> Any:
        Path("study.yaml").write_text(load_study(study).text())
        return cli("run", "study.yaml", "--workers", workers, "--quiet", *more)

    return run


def another_space(study: dict[str, Any]) -> dict[str, Any]:
    return {**study, "model": {**study["model"], "width": {"low": 4, "high": 64, "log": True}}}


def another_direction(study: dict[str, Any]) -> dict[str, Any]:
    return {**study, "objective": {"metric": "log_loss"}}  # to minimize


def other_data(study: dict[str, Any]) -> dict[str, Any]:
    Path("t.csv").write_text(TABLE.replace("0.0,", "9.5,"))
    return study


def fingerprint() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("results/again/fingerprint.json").read_text())
    return found


CHANGES = [
    (another_space, "model.width: {'low': 4, 'high': 32, 'log': True} → "),
    (another_direction, "objective.metric: accuracy → log_loss"),
    (other_data, "data_sha256: "),
]
IDS = ["space", "direction", "data"]


@pytest.mark.parametrize(("change", "line"), CHANGES, ids=IDS)
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_f28_another_study_of_the_same_name_is_refused_with_the_difference_and_changes_nothing(
    call: Call, change: Change, line: str, workers: int
) -> None:
    study = {**STUDY, **ON_TABLE}
    assert call(study, workers).code == 0
    before = files_below(Path("results"))
    said = call(change({**study, "budget": {"trials": 3}}), workers)
    assert (said.code, said.out) == (4, "")
    heading, *found = said.err.splitlines()
    assert heading == "again: was made with other settings:"
    assert found[0].startswith(f"  {line}")
    assert found[-1].endswith("; --name NEW starts another study, --allow-change goes on")
    assert files_below(Path("results")) == before
    assert states(Path("results")) == ["COMPLETE"] * 2


@pytest.mark.parametrize(("change", "line"), [CHANGES[0], CHANGES[2]], ids=[IDS[0], IDS[2]])
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_f28_a_change_that_is_allowed_is_recorded_and_the_study_goes_on(
    call: Call, change: Change, line: str, workers: int
) -> None:
    study = {**STUDY, **ON_TABLE}
    call(study, workers)
    before = fingerprint()
    assert before["changes"] == []
    changed = change({**study, "budget": {"trials": 3}})
    assert call(changed, workers, "--allow-change").code == 0
    after = fingerprint()
    assert after["uuid"] == before["uuid"]
    (recorded,) = after["changes"]
    assert recorded["what"][0].startswith(line)
    assert recorded["utc"].endswith("Z")
    assert states(Path("results")) == ["COMPLETE"] * 3
    assert call(changed, workers).code == 0  # it is the study now
    assert fingerprint() == after


def test_f28_another_direction_is_no_change_that_could_be_allowed(call: Call) -> None:
    """The storage refuses; the study is as it was before, and goes on."""
    study = {**STUDY, **ON_TABLE}
    call(study)
    before = files_below(Path("results/again"))
    said = call(another_direction({**study, "budget": {"trials": 3}}), 0, "--allow-change")
    assert said.code in (3, 4)
    assert "is to maximize; give this study another name" in said.err
    after = files_below(Path("results/again"))
    for name in ("fingerprint.json", "study.yaml", "best_config.json"):
        assert after[f"results/again/{name}"] == before[f"results/again/{name}"], name
    assert call(study).code == 0
