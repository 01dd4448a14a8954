"""A reproducible study is the same again: with other timing, after a kill, never with other W."""

import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import pytest

from hpo.errors import RefusedError
from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.scheduler import Limits, Scheduler, Start, Wait
from hpo.spec import StudySpec, load_study
from hpo.study import run_study
from tests.programs import Programs

SPACE = {
    "name": "same",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "width": {"low": 4, "high": 64, "log": True}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 4, "batch_size": 16, "accelerator": "cpu"},
    "budget": {"trials": 10},
    "search": {"sampler": {"name": "tpe", "n_startup_trials": 3}, "reproducible": True},
}


def spec(*overrides: str) -> StudySpec:
    return load_study(SPACE, overrides)


def essence(results: Path) -> list[tuple[object, ...]]:
    records = read_trials(StudyFolder(results / "same"))
    return [(r.number, r.state, r.value, r.run and r.run.epochs_run, r.params) for r in records]


def test_a_trial_starts_only_when_those_a_window_before_it_have_ended() -> None:
    scheduler = Scheduler(limits=Limits(trials=9), capacity=2, window=2)
    for number in (0, 1):
        assert scheduler.next(time_s=0) == Start()
        scheduler.started(number)
    scheduler.finished(1, epochs=1, failure=None)
    assert scheduler.next(time_s=0) == Wait()  # trial 2 is proposed from trial 0, which runs
    scheduler.finished(0, epochs=1, failure=None)
    assert scheduler.next(time_s=0) == Start()


def test_a_trial_that_was_given_back_starts_before_any_new_one() -> None:
    scheduler = Scheduler(limits=Limits(trials=9), capacity=2, window=2, waiting=deque([0]))
    assert scheduler.next(time_s=0) == Start(0)


def test_one_worker_is_the_plain_sequence(tmp_path: Path) -> None:
    run_study(spec(), tmp_path / "reproducible")
    run_study(spec("search.reproducible=false"), tmp_path / "plain")
    assert essence(tmp_path / "reproducible") == essence(tmp_path / "plain")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of two workers that nothing disturbed."""
    results = tmp_path_factory.mktemp("calm")
    run_study(spec(), results, workers=2)
    return results


@pytest.mark.slow
def test_two_workers_give_the_same_study_under_any_load(tmp_path: Path, calm: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as hog:
        run_study(spec(), tmp_path / "busy", workers=2)
        hog.kill()
    assert essence(tmp_path / "busy") == essence(calm)
    assert {state for _, state, *_ in essence(calm)} == {"complete", "pruned"}


@pytest.mark.slow
def test_two_workers_that_are_killed_give_the_same_study(
    tmp_path: Path, programs: Programs, calm: Path
) -> None:
    (tmp_path / "same.yaml").write_text(spec().text())
    run = ("run", "same.yaml", "--quiet", "--workers", 2, "--results", "killed")
    for ended in (2, 6):
        with programs.start(*run, folder=tmp_path) as process:
            done: list[Path] = []
            while process.poll() is None and len(done) < ended:
                done = list((tmp_path / "killed" / "same" / "trials").glob("*/result.json"))
                time.sleep(0.005)  # polls for an event; nothing is timed
            process.kill()
    run_study(spec(), tmp_path / "killed", workers=2)
    assert essence(tmp_path / "killed") == essence(calm)


def test_another_number_of_workers_is_refused(tmp_path: Path) -> None:
    run_study(spec("budget.trials=1"), tmp_path)
    with pytest.raises(RefusedError, match=r"workers: 1 → 2"):
        run_study(spec(), tmp_path, workers=2)
