import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.layout import StudyFolder
from hpo.records import TrialRecord, attributes_of, read_trials
from hpo.spec import StudySpec
from hpo.storage.writer import StudyStorage, sqlite_url
from hpo.study import run_study

MakeSpec = Callable[..., StudySpec]
MakeRecord = Callable[..., TrialRecord]


def test_what_is_acknowledged_is_durable(
    tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is told of a trial only after its result lies on disk."""
    finish, seen = StudyStorage.finish, []

    def told(
        self: StudyStorage, number: int, state: str, value: float | None, rest: Mapping[str, Any]
    ) -> None:
        record = read_trials(StudyFolder(tmp_path / "tiny"))[number]
        seen.append((record.number, record.state, record.value) == (number, state, value))
        finish(self, number, state, value, rest)

    monkeypatch.setattr(StudyStorage, "finish", told)
    run_study(make_spec("budget.trials=2"), tmp_path)
    assert seen == [True, True]


def test_a_trial_that_is_trained_again_keeps_nothing_of_before(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    folder = StudyFolder(tmp_path / "tiny")
    folder.trial(0).mkdir(parents=True)
    (folder.trial(0) / "traceback.txt").write_text("of an attempt that died")
    run_study(make_spec("budget.trials=1"), tmp_path)
    assert not (folder.trial(0) / "traceback.txt").exists()


def test_the_time_of_every_call_is_added_up(tmp_path: Path, make_spec: MakeSpec) -> None:
    used = []
    for trials in (1, 2):
        run_study(make_spec(f"budget.trials={trials}"), tmp_path)
        used.append(json.loads((tmp_path / "tiny" / "progress.json").read_text())["wall_seconds"])
    assert 0 < used[0] < used[1]


def test_attributes_are_what_a_dashboard_can_plot(make_record: MakeRecord) -> None:
    record = make_record(3, 0.5, config={"optimizer": {"lr": 0.1}}, notes=["default"])
    shown = attributes_of(record)
    assert shown == {
        "seed": 3,
        "seconds": 1.0,
        "status": "complete",
        "reason": None,
        "what": None,
        "violation": None,
        "same_as": None,
        "audit": None,
        "lr": 0.1,
        "default": True,
        "n_parameters": 100,
        "size_mb": 0.0004,
        "latency_ms": 0.01,
        "epochs_run": 2.0,
        "best_epoch": 1.0,
        "stop_reason": "max_epochs",
    }


def test_attributes_of_a_failed_trial_tell_why(make_record: MakeRecord) -> None:
    record = make_record(3, None, reason="oom", what="x" * 999, config={"optimizer": None})
    shown = attributes_of(record)
    assert (shown["reason"], shown["lr"], shown["default"]) == ("oom", None, None)
    assert shown["what"] == "x" * 500
    assert "n_parameters" not in shown


# A real process, stopped by real signals.

STUDY = """
name: tiny
task: {kind: multiclass}
data: {source: iris}
model: {family: mlp, width: {low: 4, high: 16}}
trainer: {max_epochs: 2, batch_size: 4, accelerator: cpu}
budget: {trials: 8}
search: {sampler: random, pruner: none}
"""


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start ``hpo run`` in a process group of its own."""
    code = "from hpo.cli import main; main()"
    command = [sys.executable, "-c", code, "run", "study.yaml", "--plain"]
    roots = os.pathsep.join(path for path in (str(Path.cwd()), *sys.path) if path)
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": roots},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for_line(process: subprocess.Popen[str], start: str) -> None:
    """Read standard error up to a line that begins so."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().startswith(start):
            return
    raise AssertionError(f"the process ended without a line {start!r}")


def drained(process: subprocess.Popen[str]) -> str:
    """Read the rest of standard error while the process ends."""
    rest: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: rest.append(process.stderr.read()))  # type: ignore
    reader.start()
    process.wait(timeout=60)
    reader.join()
    return "".join(rest)


def states_of(results: Path) -> list[str]:
    storage = optuna.storages.RDBStorage(sqlite_url(results / "storage.sqlite", read_only=True))
    try:
        trials = optuna.load_study(study_name="tiny", storage=storage).get_trials()
        return [trial.state.name for trial in trials]
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.slow
def test_a_process_that_is_signalled_ends_with_its_code_and_the_study_goes_on(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    done = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with running(tmp_path) as process:
            wait_for_line(process, "trial ")
            os.kill(process.pid, number)
            said = drained(process)
            assert process.returncode == code
        assert "interrupted; go on with:  hpo run study.yaml --plain" in said
        assert "Traceback" not in said
        states = states_of(tmp_path / "results")
        assert "RUNNING" not in states
        assert done < states.count("COMPLETE") < 8
        done = states.count("COMPLETE")
    from hpo.spec import load_study

    outcome = run_study(load_study(tmp_path / "study.yaml"), tmp_path / "results")
    assert len(outcome.end.records) == 8
    assert states_of(tmp_path / "results") == ["COMPLETE"] * 8


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_study_that_goes_on(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    with running(tmp_path) as process:
        wait_for_line(process, "trial ")
        process.kill()
        process.wait(timeout=60)
    from hpo.spec import load_study

    spec = load_study(tmp_path / "study.yaml", ["budget.trials=6"])
    outcome = run_study(spec, tmp_path / "results")
    assert len(outcome.end.records) == 6
    assert states_of(tmp_path / "results") == ["COMPLETE"] * 6
