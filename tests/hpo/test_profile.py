"""`hpo run --profile`: the phases add up, whoever trains, and change nothing of what is trained."""

import json
import time
from pathlib import Path

import pytest

from hpo.profile import ProfileRecord, profile_of
from hpo.records import read_trials
from hpo.spec import load_study
from hpo.terminal.profiled import profile_lines
from hpo.terminal.run import Options, Terminal, run_in_terminal
from lightning_modules.phases import PHASES, Stopwatch, running

TRAINED = {"data", "training", "validation", "records", "other"}


def study(folder: Path, *, workers: int, profile: bool = True, trials: int = 2):
    terminal = Terminal(
        plain=True,
        quiet=False,
        answers=False,
        events=None,
        command="hpo run smoke",
        began=time.monotonic(),
        options=Options(),
        profile=profile,
    )
    spec = load_study("smoke", [f"budget={{trials: {trials}}}", "name=tiny"])
    return run_in_terminal(
        spec, folder, terminal, storage=None, workers=workers, allow_change=False
    )


def recorded(folder: Path) -> ProfileRecord:
    text = (folder / "tiny" / "profile.json").read_text(encoding="utf-8")
    return ProfileRecord.model_validate(json.loads(text))


def test_in_one_process_the_phases_add_up_to_the_wall_time(tmp_path: Path, capsys) -> None:
    began = time.monotonic()
    study(tmp_path, workers=0)
    wall = time.monotonic() - began
    found = recorded(tmp_path)
    assert found.children == {}
    assert found.wall_seconds == pytest.approx(sum(found.supervisor.values()), abs=1e-4)
    assert 0 < found.wall_seconds <= wall
    assert set(found.supervisor) >= {*TRAINED, "sampling", "storage"}
    assert set(found.supervisor) <= set(PHASES)
    said = capsys.readouterr().err
    assert "where the time went" in said
    assert "this process" in said
    assert not running()


def test_children_say_where_their_time_went(tmp_path: Path) -> None:
    study(tmp_path, workers=2)
    found = recorded(tmp_path)
    assert set(found.children) >= {*TRAINED, "start-up", "waiting"}
    assert sum(found.children.values()) == pytest.approx(2 * found.wall_seconds, rel=1e-3)
    assert "training" not in found.supervisor
    assert found.supervisor["waiting"] > 0


def test_a_profile_changes_no_bit_of_a_trial(tmp_path: Path) -> None:
    outcomes = [study(tmp_path / str(profile), workers=0, profile=profile) for profile in (0, 1)]
    assert not (tmp_path / "0" / "tiny" / "profile.json").exists()
    plain, profiled = (read_trials(one.folder) for one in outcomes)
    assert [one.value for one in plain] == [one.value for one in profiled]
    hashes = [[one.run.checkpoint.sha256 for one in side if one.run] for side in (plain, profiled)]
    assert hashes[0] == hashes[1]


def test_a_call_with_nothing_to_do_keeps_the_profile_of_before(tmp_path: Path, capsys) -> None:
    study(tmp_path, workers=0)
    before = recorded(tmp_path)
    study(tmp_path, workers=0)
    assert recorded(tmp_path) == before
    assert "nothing to profile" in capsys.readouterr().err


def test_a_child_without_a_trial_waits() -> None:
    watch = Stopwatch(clock=iter([0.0, 10.0]).__next__)
    watch.children = {"training": 4.0, "waiting": 1.0}
    watch.stop()
    found = profile_of("tiny", watch, trials=3, workers=2)
    assert found.children == {"training": 4.0, "waiting": 16.0}


def test_a_phase_of_a_later_version_is_shown_too() -> None:
    found = ProfileRecord(
        schema="hpo.profile/1",
        study="tiny",
        trials=1,
        workers=0,
        wall_seconds=2.0,
        supervisor={"training": 1.0, "dreaming": 1.0},
        children={},
        created_utc="",
    )
    assert any(line.split()[0] == "dreaming" for line in profile_lines(found))
