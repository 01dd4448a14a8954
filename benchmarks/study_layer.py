"""What the study layer costs per trial when training costs nothing: time, memory, handles.

    python benchmarks/study_layer.py [--trials 2000] [--sampler random]

Real storage, records, TensorBoard and leaderboard; only the training is a stand-in that answers at
once with three validations. One row after every part of the trials, ``ms`` over that part alone.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from hpo.records import TrialRecord
from hpo.spec import load_study
from hpo.study import run_study
from hpo.tracking.observers import StudyEnd, StudyStart
from lightning_modules.result import Listener, RunResult, Validation

PARTS = (0.1, 0.25, 0.5, 0.75, 1.0)


class NoTraining:
    """Workers whose trials take no time; the value depends on the config alone."""

    capacity = 1
    shares_data = True

    def __init__(self) -> None:
        self._ended: list[TrialEnd] = []

    def probe(self, order: ProbeOrder) -> ProbeEnd:
        tried = {"n_parameters": 1.0, "n_batches": 1.0, "epoch_s": 0.0}
        hashes = {"data_sha256": "0" * 64, "split_sha256": "0" * 64}
        return ProbeEnd(probes=[tried] * len(order.configs), data=dict(hashes))

    def start(self, order: TrialOrder, listener: Listener) -> None:
        value = order.config["model"]["width"] / 1000
        for number in (1, 2, 3):
            metrics = {"val/accuracy": value, "val/loss": 1 - value, "train/loss": 1.0}
            listener.validated(
                Validation(
                    validation=number,
                    epoch=float(number),
                    step=number,
                    seconds=0.0,
                    objective=value,
                    best=number == 1,
                    metrics=metrics,
                )
            )
        self._ended.append(TrialEnd(number=order.number, outcome="result", result=_result(value)))

    def wait(self, timeout_s: float) -> list[TrialEnd]:
        ended, self._ended = self._ended, []
        return ended

    def abandon(self) -> None: ...

    def kill(self, number: int) -> None: ...

    def resident_bytes(self, number: int) -> int:
        return 0

    def close(self) -> None: ...


def _result(value: float) -> RunResult:
    return RunResult.model_validate(
        {
            "value": value,
            "best_validation": 1,
            "best_epoch": 1.0,
            "metrics": {"val/accuracy": value, "val/loss": 1 - value},
            "stopped_by": "max_epochs",
            "epochs_run": 3.0,
            "validations": 3,
            "steps": 3,
            "seconds": 0.0,
            "n_parameters": 1000,
            "size_bytes": 4000,
            "latency_ms": 0.1,
            "device": "cpu",
            "checkpoint": {"path": "best.ckpt", "sha256": "0" * 64, "bytes": 1},
            "data": {
                "source": "iris",
                "sha256": "0" * 64,
                "split_sha256": "0" * 64,
                "preparation_sha256": "0" * 64,
                "n_rows": {"train": 90, "validation": 30, "test": 30},
                "classes": ["a", "b", "c"],
                "majority_class": 1 / 3,
            },
        }
    )


class Meter:
    """Print a row after each part of the trials."""

    def __init__(self, total: int) -> None:
        self._marks = [round(total * part) for part in PARTS]
        self._process = psutil.Process()
        self._count = self._before = 0

    def study_started(self, start: StudyStart) -> None:
        print(f"{'trials':>7} {'wall ms':>8} {'CPU ms':>8} {'RSS MiB':>8} {'handles':>8}")
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        self._count += 1
        if self._count not in self._marks:
            return
        n = self._count - self._before
        wall = 1000 * (time.perf_counter() - self._wall) / n
        cpu = 1000 * (time.process_time() - self._cpu) / n
        rss = self._process.memory_info().rss / 2**20
        print(f"{self._count:7d} {wall:8.2f} {cpu:8.2f} {rss:8.1f} {self._process.num_fds():8d}")
        self._before = self._count
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def trial_started(self, proposal: Any) -> None: ...
    def validated(self, number: int, validation: Validation, *, prune: bool) -> None: ...
    def batch_ended(self) -> None: ...
    def trial_given_back(self, number: int) -> None: ...
    def budget_changed(self, limits: object) -> None: ...
    def warned(self, text: str) -> None:
        print(f"warning: {text}")

    def study_ended(self, end: StudyEnd) -> None: ...


def main() -> None:
    """Run the study and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=2000)
    arguments.add_argument("--sampler", default="random")
    given = arguments.parse_args()
    spec = load_study(
        {
            "name": "layer",
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 100_000}},
            "optimizer": {"name": "adamw", "lr": {"low": 1e-5, "high": 1e-1, "log": True}},
            "trainer": {"max_epochs": 3, "batch_size": 32},
            "search": {"sampler": given.sampler, "pruner": "none"},
            "budget": {"trials": given.trials},
        }
    )
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        run_study(spec, Path(folder), workers=NoTraining(), observers=[Meter(given.trials)])


if __name__ == "__main__":
    main()
