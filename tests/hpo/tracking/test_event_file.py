import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hpo.tracking import event_file
from hpo.tracking.event_file import EventFile


def steps(folder: Path) -> list[int]:
    events = EventAccumulator(str(folder))
    events.Reload()
    known = "loss" in events.Tags()["scalars"]
    return [scalar.step for scalar in events.Scalars("loss")] if known else []


def test_what_was_taken_waits_a_while_and_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = EventFile(tmp_path)
    monkeypatch.setattr(event_file, "EVERY_S", math.inf)
    file.add_scalar("loss", 0.5, step=1)
    file.tick()
    assert steps(tmp_path) == []
    monkeypatch.setattr(event_file, "EVERY_S", 0.0)
    file.add_scalar("loss", 0.4, step=2)
    file.tick()
    assert steps(tmp_path) == [1, 2]
    file.tick()
    file.flush()
    assert steps(tmp_path) == [1, 2]


def test_the_end_of_a_trial_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "EVERY_S", math.inf)
    file = EventFile(tmp_path)
    file.add_scalar("loss", 0.5, step=1)
    file.flush()
    assert steps(tmp_path) == [1]
