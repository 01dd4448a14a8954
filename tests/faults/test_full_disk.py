"""Row F15 of the fault matrix: a disk that is full in what the supervisor writes itself.

A small file system of memory, which only root may mount, holds storage, records and curves.
"""

import errno
import json
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo import room
from hpo.errors import EnvironmentFault
from hpo.layout import StudyFolder
from hpo.protocol import TrialEnd
from hpo.records import read_trials
from hpo.spec import StudySpec, load_study
from hpo.study import run_study
from hpo.tracking.observers import Observer
from hpo.workers import InProcess

TRIALS = 4
STUDY: dict[str, Any] = {
    "name": "tight",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32, "log": True}},
    "trainer": {"max_epochs": 2, "batch_size": 60, "accelerator": "cpu"},
    "budget": {"trials": TRIALS},
    "search": {"sampler": "random", "pruner": "none", "min_free_gb": 0, "keep_checkpoints": TRIALS},
}


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 8 MB; nobody waits long for room on it."""
    monkeypatch.setattr(room, "PATIENCE_S", 0.2)
    monkeypatch.setattr(room, "PAUSE_S", 0.02)
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> None:
    """Leave not a byte."""
    with (disk / "ballast").open("wb", buffering=0) as stream:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    stream.write(b"." * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


class Filling(InProcess):
    """Workers and observer in one: the disk is full from a moment of trial 2 on."""

    def __init__(self, disk: Path, moment: str) -> None:
        super().__init__()
        self._disk, self._moment = disk, moment

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        ended = super().wait(timeout_s)
        if any(end.number == 2 for end in ended):
            self._reached("it has been trained")
        return ended

    def trial_started(self, proposal: Any) -> None:
        if proposal.number == 2:
            self._reached("it begins")

    def validated(self, number: int, validation: Any, *, prune: bool) -> None:
        if number == 2:
            self._reached("it trains")

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in dir(Observer):
            raise AttributeError(name)
        return lambda *_, **__: None

    def _reached(self, moment: str) -> None:
        if moment == self._moment:
            fill(self._disk)


def run(disk: Path, moment: str) -> Any:
    filling: Any = Filling(disk, moment)
    return run_study(spec(), disk / "results", workers=filling, observers=[filling])


def spec() -> StudySpec:
    return load_study(STUDY)


def values(results: Path) -> list[tuple[int, str, float | None]]:
    return [(r.number, r.state, r.value) for r in read_trials(StudyFolder(results / "tight"))]


MOMENTS = ["it begins", "it trains", "it has been trained"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_f15_a_disk_that_stays_full_ends_the_study_in_order_and_it_goes_on_later(
    moment: str, disk: Path, tmp_path: Path
) -> None:
    run_study(spec(), tmp_path / "roomy")
    with pytest.raises(EnvironmentFault, match="free space, then run the same command") as caught:
        run(disk, moment)
    assert caught.value.exit_code == 5
    results = disk / "results"
    kept = values(results)
    assert [number for number, _, _ in kept] == [0, 1]
    for file in results.rglob("*.json"):
        json.loads(file.read_text())
    assert not [path for path in results.rglob(".*") if path.name.endswith(".tmp")]
    (disk / "ballast").unlink()
    assert run_study(spec(), results).end.new == TRIALS - 2
    assert values(results)[:2] == kept
    assert values(results) == values(tmp_path / "roomy")


@pytest.mark.parametrize("moment", ["it begins", "it has been trained"])
def test_f15_a_study_waits_for_room_and_goes_on_when_there_is_some(moment: str, disk: Path) -> None:
    class Cleaner(logging.Handler):
        """Makes room when it is asked for."""

        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            (disk / "ballast").unlink(missing_ok=True)

    said: list[str] = []
    cleaner, asked = Cleaner(), logging.getLogger("hpo.room")
    asked.addHandler(cleaner)
    try:
        outcome = run(disk, moment)
    finally:
        asked.removeHandler(cleaner)
    assert outcome.end.new == TRIALS
    assert len(said) == 1
    assert "No space left on device; waiting up to 0.2 s for room" in said[0]


def test_f15_a_study_that_finds_the_disk_full_when_it_goes_on_says_so(disk: Path) -> None:
    results = disk / "results"
    run_study(load_study(STUDY, ["budget.trials=2"]), results)
    fill(disk)
    with pytest.raises(EnvironmentFault, match=r"tight/lock: could not be written \(No space left"):
        run_study(spec(), results)
    (disk / "ballast").unlink()
    assert run_study(spec(), results).end.new == TRIALS - 2
