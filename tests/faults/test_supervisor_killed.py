"""Rows F2 and F10 of the fault matrix: the supervisor and its children are killed at random."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

HPO = [sys.executable, "-c", "from hpo.cli import main; main()"]
TRIALS = 24


def command(results: Path, *more: str) -> list[str]:
    run = ["run", "quickstart", "--results", str(results), "--trials", str(TRIALS), "--quiet"]
    fast = ["--set", "trainer.max_epochs=3", "--set", "trainer.batch_size=128", "--workers", "2"]
    return [*HPO, *run, *fast, *more]


def ledger(results: Path) -> dict[int, str]:
    """Return what is on disk of every trial that ended."""
    files = sorted((results / "quickstart" / "trials").glob("*/result.json"))
    return {int(file.parent.name): file.read_text() for file in files}


def wait_for(results: Path, n_ended: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until so many trials have ended, or the process has."""
    while process.poll() is None and len(ledger(results)) < n_ended:
        time.sleep(0.01)  # polls for an event; nothing is timed


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_whatever_is_killed(tmp_path: Path) -> None:
    """Three rounds of kill -9 on the supervisor, a child killed in each, then a last run."""
    chance = random.Random(0)
    seen: dict[int, str] = {}
    for goal in (4, 10, 16):
        process = subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL)
        wait_for(tmp_path, goal, process)
        children = psutil.Process(process.pid).children(recursive=True)
        started = [child for child in children if "forkserver" in " ".join(child.cmdline())]
        os.kill(chance.choice(started[-2:]).pid, signal.SIGKILL)
        process.kill()
        process.wait()
        now = ledger(tmp_path)
        assert {number: now.get(number) for number in seen} == seen
        seen = now
        psutil.wait_procs(children, timeout=10)
        assert not [child for child in children if child.is_running()], "a child outlived it"
    done = subprocess.run(command(tmp_path), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    now = ledger(tmp_path)
    assert {number: now.get(number) for number in seen} == seen
    assert list(now) == list(range(TRIALS))
    with closing(sqlite3.connect(tmp_path / "storage.sqlite")) as database:
        states = dict(database.execute("select number, state from trials").fetchall())
    assert list(states) == list(range(TRIALS))
    assert set(states.values()) <= {"COMPLETE", "PRUNED", "FAIL"}
    params = [json.dumps(json.loads(text)["params"], sort_keys=True) for text in now.values()]
    assert len(set(params)) == TRIALS, "a point was proposed twice"
