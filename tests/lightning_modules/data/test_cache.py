import os
from pathlib import Path

import pytest
import torch

from lightning_modules.data.cache import prepare_cached
from lightning_modules.data.config import CsvConfig, IrisConfig
from lightning_modules.data.prepared import prepare_task
from lightning_modules.errors import TrialFailed


def test_what_comes_from_the_disk_is_what_was_prepared(tmp_path: Path) -> None:
    made = prepare_cached(IrisConfig(), task_kind="multiclass", folder=tmp_path)
    read = prepare_cached(IrisConfig(), task_kind="multiclass", folder=tmp_path)
    fresh = prepare_task(IrisConfig(), task_kind="multiclass")
    for cached in (made, read):
        assert torch.equal(cached.train.x, fresh.train.x)
        assert torch.equal(cached.validation.y, fresh.validation.y)
        assert cached.data_sha256 == fresh.data_sha256
        assert cached.fitted == fresh.fitted


def test_a_file_that_changed_is_prepared_again(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    config = CsvConfig(path=str(table), target="y")
    hashes = set()
    for first in (0, 1):
        table.write_text("x,y\n" + "".join(f"{first + n},{'ab'[n % 2]}\n" for n in range(40)))
        cached = prepare_cached(config, task_kind="binary", folder=tmp_path / "cache")
        hashes.add(cached.data_sha256)
    assert len(hashes) == 2


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_full_disk_is_a_failed_trial_and_leaves_nothing_half_written(
    tmp_path: Path, suffix: str
) -> None:
    """/dev/full stands where the temporary file would be: what is written there has no room."""
    prepare_cached(IrisConfig(), task_kind="multiclass", folder=tmp_path / "roomy")
    (file,) = (tmp_path / "roomy").glob(f"*{suffix}")
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / f".{file.name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(TrialFailed, match=r"could not be written \(No space left") as caught:
        prepare_cached(IrisConfig(), task_kind="multiclass", folder=folder)
    assert caught.value.reason == "disk"
    assert not list(folder.glob("*.json"))
    assert not list(folder.glob(".*"))
    again = prepare_cached(IrisConfig(), task_kind="multiclass", folder=folder)
    assert again.n_rows == prepare_task(IrisConfig(), task_kind="multiclass").n_rows
