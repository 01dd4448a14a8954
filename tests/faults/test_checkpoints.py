"""Rows F16 and F17 of the fault matrix: full disks and kills while checkpoints are written."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hpo.spec import load_study
from hpo.study import run_study
from lightning_modules.config import RunConfig
from lightning_modules.errors import TrialFailed
from lightning_modules.result import Command, RunResult
from lightning_modules.train import train
from lightning_modules.watch import Abandoned
from tests.faults.runs import (
    BATCHES,
    CONFIG,
    Counting,
    assert_same,
    curve,
    listed,
    names,
    sound,
)
from tests.programs import Programs

# F16: a full disk.

FULL = {
    "config.json": "config.json",
    "preparation.json": "preparation.json",
    "best weights": "best.ckpt",
    "curve": "curve.csv",
    "checkpoint": "last-000002.ckpt",
    "manifest": "last.json",
}


@pytest.mark.parametrize("file", FULL.values(), ids=FULL)
@pytest.mark.usefixtures("saving_always")
def test_f16_a_full_disk_ends_the_run_with_its_reason_and_keeps_what_there_was(
    file: str, whole: tuple[Path, RunResult], tmp_path: Path
) -> None:
    """/dev/full stands where the temporary file would be: what is written there has no room."""
    temporary = tmp_path / f".{file}.{os.getpid()}.tmp"

    def fill() -> Command:
        if file == "last.json":
            assert [saved["file"] for saved in listed(tmp_path)] == ["last-000001.ckpt"]
        temporary.symlink_to("/dev/full")
        return Command.CONTINUE

    listener = Counting(at=2, then=fill)
    if file in ("config.json", "preparation.json"):
        fill()
    text = rf"^{file} could not be written \(No space left on device\); free space, then run the"
    with pytest.raises(TrialFailed, match=text) as caught:
        train(CONFIG, tmp_path, report=listener)
    assert caught.value.reason == "disk"
    assert not [name for name in names(tmp_path) if name.startswith(".")]
    assert {name for name in names(tmp_path) if name.startswith("last-")} == {
        saved["file"] for saved in listed(tmp_path)
    }
    assert all(sound(tmp_path, saved) for saved in listed(tmp_path))
    again = Counting()
    assert_same(tmp_path, train(CONFIG, tmp_path, report=again), whole)
    assert again.batches == (BATCHES if listener.batches == 0 else BATCHES - 1)


@pytest.mark.usefixtures("saving_always")
def test_f16_a_used_up_quota_is_a_full_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    def use_up() -> Command:
        monkeypatch.setattr(os, "fsync", refuse)
        return Command.CONTINUE

    with pytest.raises(TrialFailed, match=r"last-000003\.ckpt could not be written") as caught:
        train(CONFIG, tmp_path, report=Counting(at=3, then=use_up))
    assert caught.value.reason == "disk"
    assert [saved["file"] for saved in listed(tmp_path)] == ["last-000002.ckpt", "last-000001.ckpt"]
    assert all(sound(tmp_path, saved) for saved in listed(tmp_path))
    assert not (tmp_path / "last-000003.ckpt").exists()


# F17: a kill during a save.

MOTHER = """
import json, os, resource, signal, sys
from pathlib import Path
from lightning_modules import watch
from lightning_modules.config import RunConfig
from lightning_modules.train import train

config, moments, root = json.loads(sys.argv[1])
config = RunConfig.model_validate(config)
watch.SAVE_EVERY_S = 0.0


def attempt(folder, moment):
    seen = 0

    def look(event, arguments):
        nonlocal seen
        if event not in ("open", "os.rename", "os.remove"):
            return
        path = str(arguments[1] if event == "os.rename" else arguments[0])
        if os.path.dirname(path) != folder:
            return
        name = os.path.basename(path).replace(f".{os.getpid()}.tmp", ".tmp")
        seen += moment["event"] in ("any", event) and moment["name"] in ("any", name)
        if seen == moment["nth"] and not moment["torn"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if seen == moment["nth"]:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    sys.addaudithook(look)
    train(config, Path(folder))


for name, moment in moments.items():
    if not os.fork():
        attempt(os.path.join(root, name), moment)
        os._exit(0)
    _, status = os.wait()
    print(json.dumps([name, os.waitstatus_to_exitcode(status)]), flush=True)
"""
"""Runs the same training once for each moment, in a process of its own that dies at it."""


def kill_at(event: str, name: str, nth: int = 1, *, torn: bool = False) -> dict[str, Any]:
    """Describe a moment: before the nth event of that name; torn: in the middle of the writing."""
    return {"event": event, "name": name, "nth": nth, "torn": torn}


MOMENTS = {
    "before the first checkpoint": kill_at("open", ".last-000001.ckpt.tmp"),
    "before the first manifest": kill_at("os.rename", "last.json"),
    "before the checkpoint is written": kill_at("open", ".last-000003.ckpt.tmp"),
    "while the checkpoint is written": kill_at("open", ".last-000003.ckpt.tmp", torn=True),
    "before the checkpoint is hashed": kill_at("open", ".last-000003.ckpt.tmp", 2),
    "before the checkpoint is on the disk": kill_at("open", ".last-000003.ckpt.tmp", 3),
    "before the checkpoint has its name": kill_at("os.rename", "last-000003.ckpt"),
    "before the manifest is written": kill_at("open", ".last.json.tmp", 5),
    "while the manifest is written": kill_at("open", ".last.json.tmp", 5, torn=True),
    "before the manifest has its name": kill_at("os.rename", "last.json", 3),
    "before the oldest checkpoint goes": kill_at("os.remove", "last-000001.ckpt"),
    "while the best weights are written": kill_at("open", ".best.ckpt.tmp", torn=True),
    "before the best weights have their name": kill_at("os.rename", "best.ckpt"),
    "before the curve has its name": kill_at("os.rename", "curve.csv", 2),
    "before the run forgets where it was": kill_at("os.remove", "last.json"),
    "while the run forgets where it was": kill_at("os.remove", "last-000006.ckpt"),
}


def killed(programs: Programs, root: Path, moments: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return how each process ended; ``root`` holds a folder for each."""
    given = json.dumps([CONFIG.plain(), moments, str(root)])
    with programs.start(given, folder=root, code=MOTHER) as mother:
        assert mother.wait() == 0, mother.err
        return dict(json.loads(line) for line in mother.out.splitlines() if line.startswith("["))


@pytest.fixture(scope="module")
def deaths(
    tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> tuple[Path, dict[str, int]]:
    """One process killed at each moment."""
    root = tmp_path_factory.mktemp("killed")
    return root, killed(programs, root, MOMENTS)


@pytest.mark.parametrize("moment", MOMENTS)
def test_f17_a_kill_leaves_whole_checkpoints_and_the_run_goes_on_to_the_same_bits(
    moment: str, deaths: tuple[Path, dict[str, int]], whole: tuple[Path, RunResult]
) -> None:
    root, codes = deaths
    assert codes[moment] == (-25 if MOMENTS[moment]["torn"] else -9)
    assert_goes_on(root / moment, whole)


@pytest.mark.slow
def test_f17_a_kill_at_every_tenth_file_operation_leaves_the_same(
    whole: tuple[Path, RunResult], tmp_path: Path, programs: Programs
) -> None:
    moments = {str(nth): kill_at("any", "any", nth) for nth in range(1, 142, 10)}
    codes = killed(programs, tmp_path, moments)
    assert codes["1"] == -9
    assert codes["141"] == 0, "the run has more file operations than were tried"
    for nth, code in codes.items():
        if code != 0:
            assert_goes_on(tmp_path / nth, whole)


def assert_goes_on(folder: Path, whole: tuple[Path, RunResult]) -> None:
    """Assert that a killed run left only sound checkpoints, and goes on from the newest."""
    kept = listed(folder)
    assert all(sound(folder, saved) for saved in kept)
    listener = Counting()
    result = train(CONFIG, folder, report=listener)
    assert_same(folder, result, whole)
    assert listener.batches == BATCHES - (kept[0]["step"] if kept else 0)


def test_f17_a_trial_goes_on_from_the_checkpoint_of_its_attempt_before(tmp_path: Path) -> None:
    """Its first validation is the one of the attempt before: it was not trained again."""
    space = {key: value for key, value in CONFIG.plain().items() if key != "seed"}
    space["model"] = {**space["model"], "dropout": {"low": 0.0, "high": 0.5}}
    spec = load_study({**space, "name": "tiny", "budget": {"trials": 1}})
    alone = run_study(spec, tmp_path / "alone").folder.trial(0)
    config = RunConfig.model_validate_json((alone / "config.json").read_text())
    trial = tmp_path / "results" / "tiny" / "trials" / "0000"
    with pytest.raises(Abandoned):
        train(config, trial, report=Counting(at=3))
    before = (trial / "curve.csv").read_text()
    run_study(spec, tmp_path / "results")
    assert (trial / "curve.csv").read_text().startswith(before)
    assert curve(trial) == curve(alone)
