"""Row F29 of the fault matrix: memory, handles, threads and disk do not grow with the trials."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpo.spec import load_study
from hpo.study import run_study
from hpo.tracking.observers import Observer

WARM, TRIALS, KEEP = 50, 300, 3
STUDY: dict[str, Any] = {
    "name": "long",
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 64, "log": True}},
    "optimizer": {"name": "adamw", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
    "trainer": {"max_epochs": 1, "batch_size": 90, "accelerator": "cpu"},
    "budget": {"trials": TRIALS},
    "search": {"sampler": "random", "pruner": "none", "keep_checkpoints": KEEP},
}


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What the process holds."""

    resident_mib: float
    n_handles: int
    n_threads: int
    n_children: int


def footprint() -> Footprint:
    gc.collect()
    process = psutil.Process()
    return Footprint(
        resident_mib=process.memory_info().rss / 2**20,
        n_handles=process.num_fds(),
        n_threads=process.num_threads(),
        n_children=len(process.children(recursive=True)),
    )


class Measuring:
    """An observer that measures after some trials."""

    def __init__(self) -> None:
        self.after: dict[int, Footprint] = {}

    def trial_ended(self, record: Any, *, best: bool) -> None:
        if record.number + 1 in (WARM, TRIALS):
            self.after[record.number + 1] = footprint()

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in dir(Observer):
            raise AttributeError(name)
        return lambda *_, **__: None


@pytest.mark.slow
def test_f29_three_hundred_trials_hold_no_more_than_fifty(tmp_path: Path) -> None:
    measuring = Measuring()
    folder = run_study(load_study(STUDY), tmp_path, observers=[measuring]).folder
    before, after = measuring.after[WARM], measuring.after[TRIALS]
    assert after.resident_mib - before.resident_mib < 30
    assert after.n_handles <= before.n_handles
    assert after.n_threads <= before.n_threads
    assert after.n_children == before.n_children
    weights = sorted(path.name for path in folder.path.rglob("*.ckpt"))
    assert weights == ["best.ckpt"] * len(weights)
    assert KEEP <= len(weights) <= KEEP + 1, "the best trials and the default"
    assert folder.log.stat().st_size < 10_000
    assert len([path for path in folder.tensorboard.rglob("*") if path.is_file()]) == TRIALS + 1
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]
    trials = [sum(f.stat().st_size for f in t.iterdir()) for t in folder.trial_folders()]
    assert len(trials) == TRIALS
    assert sorted(trials)[TRIALS // 2] < 20_000, "records and curves are small"
