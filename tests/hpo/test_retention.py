from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.layout import StudyFolder
from hpo.records import TrialRecord
from hpo.retention import Retention
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
