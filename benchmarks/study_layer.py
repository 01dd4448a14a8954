"""What the study layer costs per trial when training costs nothing: time, memory, handles.

    python -m benchmarks.study_layer [--trials 2000] [--sampler random] [--json]

Real storage, records, TensorBoard and leaderboard; only the training is a stand-in that answers at
once with three validations. One row after every part of the trials, ``ms`` over that part alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.speed.options import Options
from benchmarks.speed.table import Table, verdict
from hpo.protocol import ProbeEnd, ProbeOrder, TrialEnd, TrialOrder
from hpo.records import TrialRecord
from hpo.spec import load_study
from hpo.study import run_study
from hpo.tracking.observers import StudyEnd, StudyStart
from lightning_modules.result import Listener, RunResult, Validation

PARTS = (0.1, 0.25, 0.5, 0.75, 1.0)
TRIALS = 2000
MOST_MS = 10.0
FLAT = 1.25
"""How much more CPU time the last trials may take than the first."""
ROOT = Path(__file__).parent.parent


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


class Silent:
    """An observer who takes note of nothing."""

    def study_started(self, start: StudyStart) -> None: ...
    def trial_started(self, proposal: Any) -> None: ...
    def validated(self, number: int, validation: Validation, *, prune: bool) -> None: ...
    def batch_ended(self) -> None: ...
    def trial_ended(self, record: TrialRecord, *, best: bool) -> None: ...
    def trial_given_back(self, number: int) -> None: ...
    def budget_changed(self, limits: object) -> None: ...
    def warned(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr)

    def study_ended(self, end: StudyEnd) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the trials of one part cost."""

    trials: int
    """How many had ended."""
    wall: float
    """Milliseconds for each trial of this part, as ``cpu``."""
    cpu: float
    rss: float
    """MiB, after it."""
    handles: int


class Meter(Silent):
    """Look after each part of the trials."""

    def __init__(self, total: int) -> None:
        self._marks = [round(total * part) for part in PARTS]
        self._process = psutil.Process()
        self._count = self._before = 0
        self.parts: list[Part] = []

    def study_started(self, start: StudyStart) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        self._count += 1
        if self._count not in self._marks:
            return
        n = self._count - self._before
        part = Part(
            trials=self._count,
            wall=1000 * (time.perf_counter() - self._wall) / n,
            cpu=1000 * (time.process_time() - self._cpu) / n,
            rss=self._process.memory_info().rss / 2**20,
            handles=self._process.num_fds(),
        )
        self.parts.append(part)
        print(json.dumps(asdict(part)), file=sys.stderr)
        self._before = self._count
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def run_layer(trials: int, sampler: str = "random") -> list[Part]:
    """Run a study of so many trials in this process; return what each part of them cost."""
    spec = load_study(
        {
            "name": "layer",
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 100_000}},
            "optimizer": {"name": "adamw", "lr": {"low": 1e-5, "high": 1e-1, "log": True}},
            "trainer": {"max_epochs": 3, "batch_size": 32},
            "search": {"sampler": sampler, "pruner": "none"},
            "budget": {"trials": trials},
        }
    )
    meter = Meter(trials)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        run_study(spec, Path(folder), workers=NoTraining(), observers=[meter])
    return meter.parts


def parts_alone(trials: int, sampler: str = "random") -> list[Part]:
    """Return the same of a process of its own, which nothing has warmed up or filled.

    Raises:
        RuntimeError: if it failed.
    """
    words = ["--trials", trials, "--sampler", sampler, "--json"]
    command = [sys.executable, "-m", "benchmarks.study_layer", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return [Part(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def measure(options: Options) -> Table:
    """Return what the study layer costs at the beginning of a study and after 2,000 trials."""
    trials = 100 if options.quick else TRIALS
    parts = parts_alone(trials)
    first, last = parts[0], parts[-1]
    most = max(part.wall for part in parts)
    came = f"{most:.1f} ms at most; {last.cpu / first.cpu:.2f} of the first part's CPU at the end"
    return Table(
        goal="P4",
        title="the study layer: storage, records, TensorBoard, messages; sampler random",
        command="python -m benchmarks.study_layer",
        columns=("trials", "wall ms a trial", "CPU ms a trial", "RSS MiB", "handles"),
        rows=tuple(map(_row, parts)),
        verdicts=(
            verdict(
                f"in the study layer ≤ {MOST_MS:g} ms a trial, flat to {TRIALS:,} trials",
                came,
                most <= MOST_MS and last.cpu <= FLAT * first.cpu,
            ),
        ),
        notes=("training answers at once, in this process, with three validations",),
    )


def _row(part: Part) -> tuple[str, ...]:
    cells = (f"{part.wall:.2f}", f"{part.cpu:.2f}", f"{part.rss:.1f}")
    return (f"{part.trials:,}", *cells, str(part.handles))


def main() -> None:
    """Run the study and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=TRIALS)
    arguments.add_argument("--sampler", default="random")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    parts = run_layer(given.trials, given.sampler)
    if given.json:
        print(json.dumps([asdict(part) for part in parts]))
        return
    print(f"{'trials':>7} {'wall ms':>8} {'CPU ms':>8} {'RSS MiB':>8} {'handles':>8}")
    for part in parts:
        cells = f"{part.wall:8.2f} {part.cpu:8.2f} {part.rss:8.1f} {part.handles:8d}"
        print(f"{part.trials:7d} {cells}")


if __name__ == "__main__":
    main()
