"""Row F11 of the fault matrix: one command, given many times at once, makes one study."""

import json
import re
import signal
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from hpo.layout import LOCK, StudyFolder
from hpo.records import read_trials
from tests.programs import Program, Programs

N = 8


def start(programs: Programs, results: Path) -> Program:
    """Start a study that goes on until it is interrupted."""
    endless = ["--trials", "100000", "--workers", "1", "--quiet"]
    run = ["run", "smoke", "--results", results, *endless]
    return programs.start(*run, folder=results.parent, group=True)


def wait_until_one_is_left(processes: Sequence[Program]) -> None:
    while sum(process.poll() is None for process in processes) > 1:
        time.sleep(0.05)  # polls for an event; nothing is timed


@pytest.mark.slow
def test_f11_of_eight_commands_at_once_one_makes_the_study_and_seven_name_it(
    tmp_path: Path, programs: Programs
) -> None:
    results = tmp_path / "results"
    with ExitStack() as stack:
        processes = [stack.enter_context(start(programs, results)) for _ in range(N)]
        wait_until_one_is_left(processes)
        (owner,) = [process for process in processes if process.poll() is None]
        while not list((results / "smoke").glob("trials/0001/result.json")):
            assert owner.poll() is None, owner.err
            time.sleep(0.05)
        owner.send(signal.SIGINT)
        codes = [process.wait() for process in processes]
        assert sorted(codes) == [5] * (N - 1) + [130], [process.err for process in processes]
        check_said([process.err for process in processes if process is not owner], owner)
    check_one_study(results)


def check_said(said: Sequence[str], owner: Program) -> None:
    """Check that every command that was refused named the one that was not, which said nothing."""
    assert owner.err == ""
    for text in said:
        told = re.fullmatch(r".*/smoke: is run by (\{.*\}); wait for it, or hpo stop .*\n", text)
        assert told is not None, text
        assert json.loads(told[1])["pid"] == owner.pid


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
