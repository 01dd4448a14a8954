import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import EnvironmentFault
from hpo.layout import LOCK, StudyFolder
from hpo.steering.requests import EndTrial, Stop, send
from hpo.steering.status import status_lines, status_of
from tests.programs import Programs

HEAVY = ("torch", "pytorch_lightning", "optuna", "pandas", "sklearn")
CHEAP = """
import sys
from hpo.cli import main
results = sys.argv[1]
verbs = [["status"], ["status", "tiny"], ["status", "tiny", "--json"], ["stop", "tiny"],
         ["stop", "tiny", "0"], ["budget", "tiny", "--trials", "9"],
         ["enqueue", "tiny", "--set", "model.width=1"]]
for verb in verbs:
    sys.argv = ["hpo", *verb, "--results", results]
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    heavy = [name for name in {heavy} if name in sys.modules]
    print("##", verb[0], code, *heavy)
"""


def as_killed(folder: StudyFolder) -> None:
    """Leave the folder as a supervisor that was killed while trial 7 ran."""
    (folder.path / LOCK).write_text('{"host": "here", "pid": 1, "token": "dead"}')
    folder.trial(7).mkdir()
    folder.proposal(7).write_text('{"schema": "hpo.proposal/1", "params": {}}')
    progress = json.loads(folder.progress.read_text())
    running = [{"number": 7, "started_utc": "2026-11-21T00:00:00Z"}]
    folder.progress.write_text(json.dumps({**progress, "owner": "dead", "running": running}))


def test_status_of_a_study_that_has_ended(cli: Any, finished: Any) -> None:
    said = cli("status", "tiny", "--results", finished.results)
    assert (said.code, said.err) == (0, "")
    first, best = said.out.splitlines()
    assert first.startswith("tiny: does not run; 7/7 trials (")
    assert first.endswith("; left: 0 trials")
    record = finished.outcome.end.best
    default = f"{finished.records[0].value:.4f}"
    assert best == (
        f"  best: trial {record.number}  accuracy ↑ {record.value:.4f}; default config {default}"
    )


def test_status_without_a_name_is_one_line_for_each_study_that_runs_or_the_latest(
    cli: Any, copied: StudyFolder
) -> None:
    other = StudyFolder(copied.path.parent / "other")
    other.path.mkdir()
    other.study_file.write_text(copied.study_file.read_text())
    latest = cli("status", "--results", copied.path.parent).out
    assert latest.startswith("other: does not run; 0/7 trials in 0.0s")
    with copied.owned():
        (line,) = cli("status", "--results", copied.path.parent).out.splitlines()
    assert line.startswith("tiny: runs in process ")


def test_where_there_is_no_study_status_names_one_to_begin_with(cli: Any, tmp_path: Path) -> None:
    said = cli("status", "--results", tmp_path)
    assert (said.code, said.out) == (0, "")
    assert said.err == f"no study in {tmp_path}/; next: hpo run quickstart\n"


def test_a_study_that_was_killed_does_not_run_and_its_trials_wait(copied: StudyFolder) -> None:
    as_killed(copied)
    found = status_of(copied)
    assert (found.owner, found.running) == (None, [])
    assert [(trial.number, trial.state) for trial in found.trials] == [(7, "waiting")]
    assert found.wall_seconds == json.loads(copied.progress.read_text())["wall_seconds"]


def test_what_a_killed_supervisor_ran_does_not_run_while_the_next_one_starts(
    copied: StudyFolder,
) -> None:
    as_killed(copied)
    with copied.owned():
        found = status_of(copied)
    assert found.owner is not None
    assert found.running == []


def test_a_trial_that_has_just_begun_runs_before_the_progress_says_so(copied: StudyFolder) -> None:
    with copied.owned():
        copied.trial(7).mkdir()
        copied.proposal(7).write_text('{"schema": "hpo.proposal/1", "params": {}}')
        assert status_of(copied).running == [7]


def test_status_shows_what_was_asked_and_passes_over_what_is_no_request(
    copied: StudyFolder,
) -> None:
    send(copied, Stop(), to="x")
    send(copied, EndTrial(trial=3), to="x")
    (copied.requests / "zzz.json").write_text("{")
    asked = [line for line in status_lines(status_of(copied)) if line.startswith("  asked: ")]
    assert [line.partition("  (")[0] for line in asked] == [
        "  asked: stop the study",
        "  asked: end trial 3",
    ]


def test_a_look_never_refuses_a_supervisor_that_starts_meanwhile(tmp_path: Path) -> None:
    folder, over = StudyFolder(tmp_path), threading.Event()

    def look() -> None:
        while not over.is_set():
            folder.owner()

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(200):
            with folder.owned():
                pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()
    assert folder.owner() is None


def test_verbs_that_steer_load_neither_torch_nor_optuna(copied: StudyFolder) -> None:
    program = CHEAP.replace("{heavy}", repr(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", program, str(copied.path.parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("## ")]
    assert told == [
        *(["status", "0"],) * 3,
        *(["stop", "2"],) * 2,
        ["budget", "2"],
        ["enqueue", "2"],
    ]


def test_a_lock_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(EnvironmentFault, match="lock: Is a directory; ask as the user who runs"):
        StudyFolder(tmp_path).owner()


def test_a_study_is_watched_until_it_ends(cli: Any, tmp_path: Path, programs: Programs) -> None:
    """Beside it, as from another terminal: what was seen is what came of it."""
    run = ("run", "smoke", "--quiet", "--trials", 12, "--results", tmp_path, "--workers", 1)
    with programs.start(*run, folder=tmp_path) as process:
        while not (tmp_path / "smoke" / "study.yaml").exists():
            assert process.poll() is None
        said = cli("status", "smoke", "--watch", "--results", tmp_path)
        assert process.wait() == 0
    assert said.out.splitlines()[0].startswith("smoke: does not run; 12/12 trials (")
    assert "smoke: runs in process" in said.err


def test_only_one_study_is_watched(cli: Any, tmp_path: Path) -> None:
    said = cli("status", "--watch", "--results", tmp_path)
    assert said.code == 2
    assert "hpo status STUDY --watch" in said.err
