from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.layout import StudyFolder
from hpo.records import TrialRecord
from hpo.retention import Retention, forget_checkpoints
from hpo.seeds import SeededConfig, SeedsRecord, write_seeds
from lightning_modules.running import keep_running

MakeRecord = Callable[..., TrialRecord]


@pytest.mark.parametrize("n_before", [0, 2, 3], ids=lambda n: f"{n} ended before")
def test_nothing_is_left_of_where_an_ended_trial_was(
    n_before: int, tmp_path: Path, make_record: MakeRecord
) -> None:
    """The default config failed: its best weights stay, but nothing that it could go on from."""
    folder = StudyFolder(tmp_path)
    records = [
        make_record(0, None, reason="nan", notes=["default"]),
        make_record(1, 0.5),
        make_record(2, 0.25),
    ]
    for record in records:
        trial = folder.trial(record.number)
        trial.mkdir(parents=True)
        (trial / "best.ckpt").touch()
        keep_running(trial, lambda path: path.touch(), step=1)
        (trial / ".last-000002.ckpt.77.tmp").touch()
    retention = Retention(folder, records[:n_before], direction="maximize", keep=1)
    for record in records[n_before:]:
        retention.ended(record)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"trials/0000/best.ckpt", "trials/0001/best.ckpt"}


def test_the_trial_that_fresh_seeds_chose_keeps_its_weights_whatever_comes_after(
    tmp_path: Path, make_record: MakeRecord, make_seeds: Callable[..., None]
) -> None:
    folder = StudyFolder(tmp_path)
    records = [make_record(number, 0.5 + 0.1 * number) for number in range(3)]
    for record in records:
        folder.trial(record.number).mkdir(parents=True)
        (folder.trial(record.number) / "best.ckpt").touch()
    make_seeds(folder, chosen=0)
    retention = Retention(folder, records[:1], direction="maximize", keep=1)
    for record in records[1:]:
        retention.ended(record)
    left = {path.parent.name for path in tmp_path.rglob("best.ckpt")}
    assert left == {"0000", "0002"}
    forget_checkpoints(folder, records, direction="maximize", keep=1)
    assert (folder.trial(0) / "best.ckpt").exists()


@pytest.fixture
def make_seeds() -> Callable[..., None]:
    """Return a function that leaves the record of an evaluation that chose a trial."""

    def make(folder: StudyFolder, *, chosen: int) -> None:
        folder.evaluation.mkdir()
        config = SeededConfig(
            trial=chosen, is_default=False, config_sha256="", search_value=0.5, runs=[]
        )
        record = SeedsRecord(
            schema="hpo.seeds/1",
            study="tiny",
            metric="accuracy",
            direction="maximize",
            seeds=[],
            configs=[config],
            chosen=chosen,
            why="",
            worth=None,
            gain=None,
            gain_test=None,
            optimism=None,
            as_of_utc="",
            created_utc="",
        )
        write_seeds(folder, record)

    return make
