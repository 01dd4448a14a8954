"""What a run of every family keeps, on every task that it serves."""

import json
import subprocess
import sys
from typing import Any

import pytest

from lightning_modules.families import FAMILIES
from tests.contracts.inputs import kinds_of, tasks_of
from tests.programs import ROOT, Programs

pytestmark = pytest.mark.slow
Runs = list[dict[str, Any]]


CODE = "from tests.contracts.family_runs import main; main()"


@pytest.fixture(scope="module")
def runs(programs: Programs) -> Runs:
    with programs.start(0, folder=ROOT, code=CODE) as process:
        assert process.wait(600) == 0, process.err[-3000:]
        found: Runs = json.loads(process.out.splitlines()[-1])
        return found


def without(runs: Runs, fact: str) -> list[str]:
    return [run["case"] for run in runs if not run[fact]]


def test_every_family_is_tried_on_every_task_it_serves(runs: Runs) -> None:
    expected = {
        (name, kind, inputs)
        for name in FAMILIES
        for inputs in kinds_of(name)
        for kind in tasks_of(inputs)
    }
    tried = {(run["case"].split()[0], *run["case"].split()[-2:]) for run in runs}
    assert tried == expected


def test_predictions_are_finite(runs: Runs) -> None:
    assert without(runs, "finite") == []


def test_a_checkpoint_measures_what_was_recorded(runs: Runs) -> None:
    assert without(runs, "recorded_is_measured") == []


def test_a_run_folder_predicts_the_same_without_its_data(runs: Runs) -> None:
    assert without(runs, "read_back_is_equal") == []


def test_an_interrupted_run_goes_on_to_the_same_bits(runs: Runs) -> None:
    assert without(runs, "parts_are_equal") == []


def test_another_interpreter_trains_to_the_same_bits(runs: Runs) -> None:
    """Its sets are in another order, and its random numbers stand elsewhere."""
    command = [sys.executable, "-c", CODE, "7"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == [run for run in runs if " multiclass " in run["case"]]
