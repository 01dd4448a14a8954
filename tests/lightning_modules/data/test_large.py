import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lightning_modules.data import large
from lightning_modules.data.config import ImageFolderConfig, ParquetConfig
from lightning_modules.data.frames import Array
from lightning_modules.data.image_preparation import ImagePreparation
from lightning_modules.data.prepared import prepare_task
from lightning_modules.errors import TrialFailed
from tests.programs import Programs

N_ROWS, SIZE = 400, 128
RAW_MB = N_ROWS * 3 * SIZE * SIZE / 2**20
"""The images as bytes, 19; scaled they are four times as many."""
WATCHES = """
import sys, threading
from pathlib import Path
from lightning_modules.data import columnwise, image_preparation, large, table_preparation
from lightning_modules.data.cache import prepare_cached
from lightning_modules.data.config import ImageFolderConfig, ParquetConfig

def own():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024

def watched(config, folder):
    peak, over = [own()], threading.Event()
    def watch():
        while not over.wait(0.002):
            peak.append(own())
    watcher = threading.Thread(target=watch)
    watcher.start()
    data = prepare_cached(config, task_kind="binary", folder=Path(folder))
    over.set()
    watcher.join()
    return max(peak) - peak[0], data
"""
IMAGES = """
large.LARGE_BYTES, image_preparation._CHUNK_VALUES = int(sys.argv[3]), 2**18
peak, data = watched(ImageFolderConfig(path=sys.argv[1], size=128), sys.argv[2])
print(peak, data.data_sha256, *data.fitted.preparation.mean)
"""
TABLES = """
large.LARGE_BYTES, columnwise.BLOCK_VALUES = int(sys.argv[4]), 2**16
table_preparation._CHUNK_VALUES = 2**18
watched(ParquetConfig(path=sys.argv[1], target="y"), sys.argv[3])  # pyarrow and its threads
peak, data = watched(ParquetConfig(path=sys.argv[2], target="y"), sys.argv[3])
print(peak, data.data_sha256, data.preparation_sha256)
"""


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is told in /proc"
)


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE_BYTES", 1)


def in_a_file(array: Array) -> bool:
    return isinstance(getattr(array.base, "obj", array.base), mmap.mmap)


def test_a_large_array_is_in_a_file_that_is_gone_with_it(
    tmp_path: Path, small_is_large: None
) -> None:
    with large.large_arrays_in(tmp_path):
        array = large.empty((3, 5), np.float32)
    assert in_a_file(array)
    assert list(tmp_path.iterdir()) == []
    array[:] = np.arange(15).reshape(3, 5)
    rows = large.chosen(array, np.array([2, 0]))
    assert in_a_file(rows)
    assert rows.tolist() == [[10, 11, 12, 13, 14], [0, 1, 2, 3, 4]]


@needs_proc
def test_large_arrays_are_where_the_user_wants_temporary_files(
    tmp_path: Path, small_is_large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    array = large.empty((3, 5), np.float32)
    assert str(tmp_path) in Path("/proc/self/maps").read_text()
    monkeypatch.delenv("TMPDIR")
    other = large.empty((3, 5), np.float32)
    assert "/var/tmp/" in Path("/proc/self/maps").read_text()
    assert in_a_file(array)
    assert in_a_file(other)


def test_a_small_array_is_in_memory() -> None:
    assert not in_a_file(large.empty((3, 5), np.float32))
    assert large.empty((0, 5), np.uint8).shape == (0, 5)


def test_a_disk_without_room_is_a_failed_trial(
    monkeypatch: pytest.MonkeyPatch, small_is_large: None
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(TrialFailed, match="a large array could not be written") as caught:
        large.empty((3, 5), np.uint8)
    assert caught.value.reason == "disk"


def noise(folder: Path) -> Path:
    """Write files of images that are many times larger in memory."""
    generator = np.random.default_rng(0)
    for row in range(N_ROWS):
        path = folder / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (4, 4, 3), dtype=np.uint8)).save(path)
    return folder


@needs_proc
def test_images_are_prepared_in_less_memory_than_they_need(
    tmp_path: Path, programs: Programs
) -> None:
    images = noise(tmp_path / "images")
    arguments = [str(images), str(tmp_path / "cache"), str(2**20)]
    with programs.start(*arguments, folder=tmp_path, code=WATCHES + IMAGES) as process:
        assert process.wait() == 0, process.err
        peak_mb, data_sha256, *mean = process.out.split()
    plain = prepare_task(ImageFolderConfig(path=str(images), size=SIZE), task_kind="binary")
    assert data_sha256 == plain.data_sha256
    assert isinstance(plain.fitted.preparation, ImagePreparation)
    assert list(map(float, mean)) == pytest.approx(plain.fitted.preparation.mean)
    assert float(peak_mb) < RAW_MB  # five times as much without files


N_TABLE_ROWS, N_COLUMNS = 20_000, 200
TABLE_MB = N_TABLE_ROWS * N_COLUMNS * 8 / 2**20
"""The table as it is read, 30; with the rows of its splits and their features, thrice as much."""


def many_columns(path: Path, n_rows: int) -> Path:
    """Write a Parquet file of numbers and text, in groups of rows."""
    generator = np.random.default_rng(0)
    labels = np.array(["no", "yes"])[np.arange(n_rows) % 2]
    numbers = {f"n{i}": generator.random(n_rows) for i in range(N_COLUMNS * 3 // 4)}
    words = np.array(["red", "green", "blue"])
    texts = {f"c{i}": words[generator.integers(0, 3, n_rows)] for i in range(N_COLUMNS // 4)}
    pd.DataFrame({**numbers, **texts, "y": labels}).to_parquet(path, row_group_size=5_000)
    return path


@needs_proc
def test_a_parquet_file_is_prepared_in_less_memory_than_it_needs(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    first = many_columns(tmp_path / "first.parquet", 100)
    table = many_columns(tmp_path / "t.parquet", N_TABLE_ROWS)
    arguments = [str(first), str(table), str(tmp_path / "cache"), str(2**20)]
    command = [sys.executable, "-c", WATCHES + TABLES, *arguments]
    own = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # its own one gives nothing back
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
    peak_mb, *prints = output.stdout.split()
    plain = prepare_task(ParquetConfig(path=str(table), target="y"), task_kind="binary")
    assert prints == [plain.data_sha256, plain.preparation_sha256]
    assert float(peak_mb) < TABLE_MB * 2 / 3  # almost thrice as much without files
