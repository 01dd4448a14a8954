"""Row F11 of the fault matrix: one command, given many times at once, makes one study."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from hpo.layout import LOCK, StudyFolder
from hpo.records import read_trials

HPO = [sys.executable, "-c", "from hpo.cli import main; main()"]
N = 8


def start(results: Path, errors: Path) -> "subprocess.Popen[bytes]":
    """Start a study that goes on until it is interrupted."""
    endless = ["--trials", "100000", "--workers", "1", "--quiet"]
    with errors.open("wb") as stream:
        return subprocess.Popen(
            [*HPO, "run", "smoke", "--results", str(results), *endless],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )


def wait_until_one_is_left(processes: list["subprocess.Popen[bytes]"]) -> None:
    while sum(process.poll() is None for process in processes) > 1:
        time.sleep(0.05)  # polls for an event; nothing is timed


@pytest.mark.slow
def test_f11_of_eight_commands_at_once_one_makes_the_study_and_seven_name_it(
    tmp_path: Path,
) -> None:
    results = tmp_path / "results"
    errors = [tmp_path / f"{n}.err" for n in range(N)]
    processes = [start(results, file) for file in errors]
    try:
        wait_until_one_is_left(processes)
        (owner,) = [process for process in processes if process.poll() is None]
        while not list((results / "smoke").glob("trials/0001/result.json")):
            assert owner.poll() is None, errors[processes.index(owner)].read_text()
            time.sleep(0.05)
        os.kill(owner.pid, signal.SIGINT)
        owner.wait()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [5] * (N - 1) + [130], [file.read_text() for file in errors]
    for process, file in zip(processes, errors, strict=True):
        said = file.read_text()
        if process is owner:
            assert said == ""
            continue
        told = re.fullmatch(r".*/smoke: is run by (\{.*\}); wait for it, or hpo stop .*\n", said)
        assert told is not None, said
        assert json.loads(told[1])["pid"] == owner.pid
    check_one_study(results)


def check_one_study(results: Path) -> None:
    """Check that the storage holds one study, whose trials are those of the folder, each once."""
    folder = StudyFolder(results / "smoke")
    with closing(sqlite3.connect(results / "storage.sqlite")) as database:
        names = database.execute("select study_name from studies").fetchall()
        trials = database.execute("select number, state from trials order by number").fetchall()
    assert names == [("smoke",)]
    assert [number for number, _ in trials] == list(range(len(trials)))
    ended = {number for number, state in trials if state in ("COMPLETE", "PRUNED")}
    assert ended == {record.number for record in read_trials(folder)}
    assert {state for _, state in trials} <= {"COMPLETE", "PRUNED", "WAITING"}
    assert (folder.path / LOCK).read_text() == ""
