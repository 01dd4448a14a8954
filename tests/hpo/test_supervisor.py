import json
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from hpo.layout import StudyFolder
from hpo.records import TrialRecord, attributes_of, read_trials
from hpo.spec import StudySpec
from hpo.storage.writer import StudyStorage, sqlite_url
from hpo.study import run_study
from tests.programs import Program, Programs

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
        "flops": None,
        "latency_ms": 0.01,
        "latency_ms_64": None,
        "train_seconds": None,
        "samples_per_second": None,
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


@pytest.fixture
def hpo_run(programs: Programs, tmp_path: Path) -> Callable[[], Program]:
    """Return a function that starts ``hpo run`` in a process group of its own."""
    (tmp_path / "study.yaml").write_text(STUDY)
    return partial(programs.start, "run", "study.yaml", "--plain", folder=tmp_path, group=True)


def wait_for_trial(process: Program) -> None:
    """Wait until the process has said that a trial ended."""
    while not any(line.strip().startswith("trial ") for line in process.err.splitlines()):
        assert process.poll() is None, process.err
        time.sleep(0.005)  # polls for an event; nothing is timed


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
    tmp_path: Path, hpo_run: Callable[[], Program]
) -> None:
    done = 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with hpo_run() as process:
            wait_for_trial(process)
            process.send(number)
            assert process.wait() == code
            assert "interrupted; go on with:  hpo run study.yaml --plain" in process.err
            assert "Traceback" not in process.err
        states = states_of(tmp_path / "results")
        assert "RUNNING" not in states
        assert done < states.count("COMPLETE") < 8
        done = states.count("COMPLETE")
    from hpo.spec import load_study

    outcome = run_study(load_study(tmp_path / "study.yaml"), tmp_path / "results")
    assert len(outcome.end.records) == 8
    assert states_of(tmp_path / "results") == ["COMPLETE"] * 8


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_study_that_goes_on(
    tmp_path: Path, hpo_run: Callable[[], Program]
) -> None:
    with hpo_run() as process:
        wait_for_trial(process)
        process.kill()
    from hpo.spec import load_study

    spec = load_study(tmp_path / "study.yaml", ["budget.trials=6"])
    outcome = run_study(spec, tmp_path / "results")
    assert len(outcome.end.records) == 6
    assert states_of(tmp_path / "results") == ["COMPLETE"] * 6
