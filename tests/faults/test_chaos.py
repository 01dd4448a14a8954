"""Rows F2 and F10 of the fault matrix: the supervisor and its children are killed at random.

`HPO_CHAOS_TRIALS=200 pytest tests/faults/test_chaos.py` runs a larger study.
"""

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.programs import Program, Programs

TRIALS = int(os.environ.get("HPO_CHAOS_TRIALS", "12"))
KILLS = 5 if TRIALS >= 100 else 3
SETTINGS = (
    "model.mlp.width=8",
    "model.cnn.width=2",
    "trainer.max_epochs=3",
    "trainer.batch_size=256",
    "search.pruner=median",
)


class Study:
    """A study that is run by one command over and over, and what it acknowledged."""

    def __init__(self, programs: Programs, results: Path, n_trials: int) -> None:
        self.programs = programs
        self.results = results
        self.events = results / "events.jsonl"
        run = ["run", "quickstart", "--results", str(results), "--trials", str(n_trials)]
        sets = [word for setting in SETTINGS for word in ("--set", setting)]
        quiet = ["--quiet", "--workers", "2", "--events", str(self.events)]
        self.command = [*run, *sets, *quiet]
        self.records: dict[int, str] = {}
        """The text of every record that was seen."""

    def lines(self) -> list[dict[str, Any]]:
        """Return the acknowledgements so far: one whole line each, flushed."""
        text = self.events.read_text() if self.events.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def start(self) -> Program:
        return self.programs.start(*self.command, folder=self.results.parent)

    def wait_for(self, process: Program, n_more: int) -> None:
        """Wait until there are so many more lines."""
        goal = len(self.lines()) + n_more
        while process.poll() is None and len(self.lines()) < goal:
            time.sleep(0.005)  # polls for an event; nothing is timed

    def check(self) -> None:
        """Assert that what was acknowledged, or seen, is as it was."""
        now: dict[int, str] = {}
        for file in sorted((self.results / "quickstart" / "trials").glob("*/result.json")):
            now[int(file.parent.name)] = file.read_text()
        assert {number: now.get(number) for number in self.records} == self.records
        self.records = now
        values = {number: _outcome(json.loads(text)) for number, text in now.items()}
        for line in self.lines():
            if line["event"] == "trial_finished":
                said = (line["state"], line["reason"], line["value"])
                assert values.get(line["trial"]) == said, "an acknowledged result is lost"


def _outcome(record: dict[str, Any]) -> tuple[Any, ...]:
    value = None if record["run"] is None else record["run"]["value"]
    return record["state"], record["reason"], value


def children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def kill_at_random(process: Program, chance: random.Random) -> None:
    """Kill a child, then the supervisor; no process may be left."""
    servers = children_of(psutil.Process(process.pid))
    trials = [child for server in servers for child in children_of(server)]
    children = [*servers, *trials]
    if trials and chance.random() < 0.6:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(trials).pid, signal.SIGKILL)
    process.kill()
    deadline = time.monotonic() + 30
    while any(map(lives, children)) and time.monotonic() < deadline:
        psutil.wait_procs(children, timeout=0.2)
    assert not any(map(lives, children)), "a child outlived its supervisor"


def lives(process: psutil.Process) -> bool:
    """Say whether a process still does anything; its parent may be slow to take note of its end."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_whatever_is_killed(
    tmp_path: Path, programs: Programs
) -> None:
    chance = random.Random(TRIALS)
    study = Study(programs, tmp_path / "results", TRIALS)
    study.results.mkdir()
    for _ in range(KILLS):
        with study.start() as process:
            study.wait_for(process, chance.randint(1, TRIALS))  # a trial has about five lines
            assert process.poll() is None, f"it ended before it was killed: {process.err}"
            kill_at_random(process, chance)
        study.check()
    with study.start() as process:
        assert (process.wait(600), process.err) == (0, "")
    study.check()
    assert list(study.records) == list(range(TRIALS))
    finished = Counter(x["trial"] for x in study.lines() if x["event"] == "trial_finished")
    assert set(finished.values()) == {1}, "a trial was acknowledged twice"
    assert len(finished) >= TRIALS - 2 * KILLS
    with closing(sqlite3.connect(study.results / "storage.sqlite")) as database:
        states = database.execute("select number, state from trials order by number").fetchall()
    assert [number for number, _ in states] == list(range(TRIALS))
    assert {state for _, state in states} <= {"COMPLETE", "PRUNED", "FAIL"}
    params = [json.dumps(json.loads(t)["params"], sort_keys=True) for t in study.records.values()]
    assert len(set(params)) == TRIALS, "a point was proposed twice"
