"""What a run of every family keeps, on every task that it serves."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_modules.families import FAMILIES
from tests.contracts.inputs import kinds_of, tasks_of

pytestmark = pytest.mark.slow
Runs = list[dict[str, Any]]


def runs_of_a_process(argument: int) -> Runs:
    command = [sys.executable, "-m", "tests.contracts.family_runs", str(argument)]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: Runs = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def runs() -> Runs:
    return runs_of_a_process(0)


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


def test_two_processes_train_to_the_same_bits(runs: Runs) -> None:
    assert runs_of_a_process(7) == [run for run in runs if " multiclass " in run["case"]]
