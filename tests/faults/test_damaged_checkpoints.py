"""Row F18 of the fault matrix: damage to what a run left on the disk."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_modules import outcome, plugins, watch
from lightning_modules.config import RunConfig
from lightning_modules.errors import TrialFailed
from lightning_modules.result import Command, RunResult
from lightning_modules.train import train
from lightning_modules.watch import Abandoned
from tests.faults.runs import (
    BATCHES,
    CONFIG,
    Counting,
    ProcessEndedError,
    assert_same,
    listed,
)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Turn over one bit in the middle: of a weight, or of the optimizer's state."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {"truncated": cut, "empty": empty, "one bit flipped": flip, "missing": Path.unlink}
each_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@pytest.fixture
def abandoned(tmp_path: Path, saving_always: None) -> Path:
    """A run given back at the fourth of six batches: checkpoints 4 and 3 are there."""
    with pytest.raises(Abandoned):
        train(CONFIG, tmp_path, report=Counting(at=4))
    assert [saved["step"] for saved in listed(tmp_path)] == [4, 3]
    return tmp_path


@each_damage
def test_f18_a_damaged_checkpoint_is_refused_by_name_and_hash_and_the_previous_used(
    damage: Callable[[Path], None],
    abandoned: Path,
    whole: tuple[Path, RunResult],
    caplog: pytest.LogCaptureFixture,
) -> None:
    newest = listed(abandoned)[0]
    damage(abandoned / newest["file"])
    listener = Counting()
    assert_same(abandoned, train(CONFIG, abandoned, report=listener), whole)
    assert listener.batches == BATCHES - 3
    warning = next(r.message for r in caplog.records if r.name == "lightning_modules.running")
    start = f"{abandoned / newest['file']}: recorded sha256 {newest['sha256']}, found "
    assert warning.startswith(start)


@each_damage
def test_f18_without_a_sound_checkpoint_the_run_starts_again(
    damage: Callable[[Path], None], abandoned: Path, whole: tuple[Path, RunResult]
) -> None:
    for saved in listed(abandoned):
        damage(abandoned / saved["file"])
    listener = Counting()
    assert_same(abandoned, train(CONFIG, abandoned, report=listener), whole)
    assert listener.batches == BATCHES


@each_damage
def test_f18_a_damaged_manifest_is_not_believed(
    damage: Callable[[Path], None], abandoned: Path, whole: tuple[Path, RunResult]
) -> None:
    damage(abandoned / "last.json")
    assert_same(abandoned, train(CONFIG, abandoned), whole)


@each_damage
def test_f18_damaged_best_weights_come_back_from_the_checkpoint(
    damage: Callable[[Path], None], abandoned: Path, whole: tuple[Path, RunResult]
) -> None:
    damage(abandoned / "best.ckpt")
    listener = Counting()
    assert_same(abandoned, train(CONFIG, abandoned, report=listener), whole)
    assert listener.batches == BATCHES - 4


@each_damage
@pytest.mark.parametrize("at", [3, 6])
def test_f18_best_weights_that_are_damaged_while_the_run_trains_are_not_believed(
    damage: Callable[[Path], None],
    at: int,
    registries: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the third batch a checkpoint would take them up, after the sixth the run would end."""
    config, course = first_is_best()
    monkeypatch.setattr(watch, "SAVE_EVERY_S", 0.0 if at == 3 else 60.0)
    monkeypatch.setattr(outcome, "MOST_WAITING", 0)

    def harm() -> Command:
        damage(tmp_path / "best.ckpt")
        return Command.CONTINUE

    course[:] = [0.5, 0.25, 0.125]
    text = "best.ckpt: is not what was written there; check the disk, then run the same command"
    with pytest.raises(TrialFailed, match=text) as caught:
        train(config, tmp_path, report=Counting(at=at, then=harm))
    assert caught.value.reason == "disk"
    course[:] = [0.25, 0.125] if at == 3 else [0.5, 0.25, 0.125]
    result = train(config, tmp_path)
    assert result.value == 0.5
    assert (
        result.checkpoint.sha256
        == hashlib.sha256((tmp_path / "best.ckpt").read_bytes()).hexdigest()
    )


def test_f18_best_weights_newer_than_the_checkpoint_are_not_taken_for_its_own(
    registries: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third validation was the best, but the run that goes on is stopped at the second."""
    config, course = first_is_best()
    course[:] = [0.5]
    with pytest.raises(Abandoned):
        train(config, tmp_path / "twice", report=Counting(at=3))
    course[:] = [0.25, 0.75]
    with pytest.raises(ProcessEndedError):
        train(config, tmp_path / "twice", report=Counting(answers=(Command.CONTINUE, None)))
    course[:] = [0.25]
    twice = train(config, tmp_path / "twice", report=Counting(answers=(Command.STOP,)))
    course[:] = [0.5, 0.25]
    stop = Counting(answers=(Command.CONTINUE, Command.STOP))
    assert_same(
        tmp_path / "twice",
        twice,
        (tmp_path / "once", train(config, tmp_path / "once", report=stop)),
    )


def first_is_best() -> tuple[RunConfig, list[float]]:
    """Return a config whose validations measure what stands in the list, in its order."""
    course: list[float] = []
    plugins.metric("course", direction="maximize")(lambda outputs, targets: course.pop(0))
    plain = {**CONFIG.plain(), "objective": {"metric": "course"}}
    return RunConfig.model_validate(plain), course
