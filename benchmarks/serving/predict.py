"""How fast `hpo predict` reads, predicts and writes a large CSV table, beside a plain script.

python -m benchmarks.serving.predict [--rows 1000000] [--rounds 5] [--write]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.speed.__main__ import PAGE, section, write
from benchmarks.speed.machine import load
from benchmarks.speed.table import Table, verdict

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = {"plain": "benchmarks.serving.plain_predict", "ours": "benchmarks.serving.our_predict"}
WAYS = {
    "unwritten": "classes, not written",
    "classes": "classes, written as CSV",
    "probabilities": "classes and probabilities, written as CSV",
}
GOAL = 0.5
FLAT = 1.15
"""What the memory of many rows may be of that of a few."""
FEW_ROWS, CHUNK = 100_000, 50_000
TOWNS, KINDS = ("north", "south", "east", "west", "centre"), ("a", "b", "c")
STUDY = """\
task: {kind: binary}
data: {source: csv, path: train.csv, target: y}
model: {family: mlp, n_layers: 2, width: 64}
optimizer: {name: adamw, lr: 0.003}
trainer: {max_epochs: 3, batch_size: 128, accelerator: cpu}
"""


@dataclass(frozen=True, kw_only=True)
class Took:
    """What one process took."""

    seconds: float
    """From opening the model to the last row, imports left out."""
    whole: float
    """Of the process."""
    peak_mb: float


def main() -> int:
    """Measure and print; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.predict")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args()
    began, before = time.monotonic(), load()
    with tempfile.TemporaryDirectory() as folder:
        table = measure(Path(folder), given.rows, given.rounds)
    text = section(table, time.monotonic() - began, before)
    print(text)
    if given.write:
        write("predict", text)
    return int(any("reached: no" in line for line in table.verdicts))


def measure(folder: Path, n_rows: int, rounds: int) -> Table:
    """Return the table of both programs, in turns."""
    make_tables(folder, n_rows)
    found: dict[tuple[str, str], list[Took]] = {}
    for _ in range(rounds):
        for way in WAYS:
            for who in PROGRAMS:
                found.setdefault((who, way), []).append(run(folder, who, way, "many.csv"))
    few = {who: run(folder, who, "classes", "few.csv") for who in PROGRAMS}
    rows = [row(way, found["plain", way], found["ours", way], n_rows) for way in WAYS]
    ratio = median_ratio(found["plain", "classes"], found["ours", "classes"])
    peaks = {who: max(one.peak_mb for one in found[who, "classes"]) for who in PROGRAMS}
    growth = peaks["ours"] / few["ours"].peak_mb
    memory = "; ".join(
        f"{who} {few[who].peak_mb:,.0f} MB at {FEW_ROWS:,} rows, {peaks[who]:,.0f} MB at {n_rows:,}"
        for who in PROGRAMS
    )
    return Table(
        goal="Predict",
        title=f"{n_rows:,} CSV rows of 10 numbers and 2 categories through one ONNX file",
        command=f"python -m benchmarks.serving.predict --rows {n_rows} --rounds {rounds}",
        columns=("what", "plain s", "ours s", "plain/ours", "ours rows/s", "whole processes s"),
        rows=tuple(rows),
        verdicts=(
            verdict(f"≥ {GOAL:g}× the plain script's speed", f"{ratio:.2f}×", ratio >= GOAL),
            verdict(
                f"memory that does not grow with the rows (≤ {FLAT:g}×)",
                f"{growth:.2f}×",
                growth <= FLAT,
            ),
        ),
        notes=(
            f"Medians of {rounds} rounds in which the programs took turns, each a process of its "
            "own; seconds are from opening the model on, imports left out; the last column is "
            "the processes from start to end, plain and ours.",
            f"Peak memory, classes written: {memory}.",
            "Plain reads the whole table by pandas, runs onnxruntime in batches of 16,384 and "
            "writes by DataFrame.to_csv (benchmarks/serving/plain_predict.py); it checks nothing.",
        ),
    )


def make_tables(folder: Path, n_rows: int) -> None:
    """Write tables, train a network on the small one, and make a model file of it."""
    for index, (name, size) in enumerate((("train", 5000), ("few", FEW_ROWS), ("many", n_rows))):
        with (folder / f"{name}.csv").open("w", encoding="utf-8") as file:
            file.write(",".join([*(f"x{i}" for i in range(10)), "town", "kind", "y"]) + "\n")
            for start in range(0, size, CHUNK):
                file.writelines(lines(min(CHUNK, size - start), seed=[index, start]))
    (folder / "study.yaml").write_text(STUDY)
    for words in (["train", "study.yaml", "-o", "run"], ["export", "run", "-o", "model.onnx"]):
        code = "from hpo.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"hpo {words[0]}: {done.stderr}")


def lines(n_rows: int, *, seed: list[int]) -> Iterator[str]:
    """Yield rows: numbers of four decimals, one in fifty missing, two categories, a class."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n_rows, 10)).round(4)
    gone = random.random((n_rows, 10)) < 0.02
    towns, kinds = random.integers(0, len(TOWNS), n_rows), random.integers(0, len(KINDS), n_rows)
    for row_, missing, town, kind in zip(x.tolist(), gone.tolist(), towns, kinds, strict=True):
        cells = ["" if none else repr(value) for value, none in zip(row_, missing, strict=True)]
        label = "yes" if row_[0] + row_[1] * (town == 0) > 0 else "no"
        yield ",".join([*cells, TOWNS[town], KINDS[kind], label]) + "\n"


def run(folder: Path, who: str, way: str, table: str) -> Took:
    """Run one program on a table as a process of its own."""
    words = [str(folder / "model.onnx"), str(folder / table), way, str(folder / f"{who}.csv")]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", PROGRAMS[who], *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{PROGRAMS[who]} ended with {process.returncode}")
    whole = time.perf_counter() - began
    per_mb = 1e6 if sys.platform == "darwin" else 1e3
    seconds = json.loads(said)["seconds"]
    return Took(seconds=seconds, whole=whole, peak_mb=usage.ru_maxrss / per_mb)


def row(way: str, plain: list[Took], ours: list[Took], n_rows: int) -> tuple[str, ...]:
    """Return one line of the table."""
    seconds = [statistics.median(one.seconds for one in took) for took in (plain, ours)]
    whole = [statistics.median(one.whole for one in took) for took in (plain, ours)]
    return (
        WAYS[way],
        f"{seconds[0]:.2f}",
        f"{seconds[1]:.2f}",
        f"{median_ratio(plain, ours):.2f}×",
        f"{n_rows / seconds[1]:,.0f}",
        f"{whole[0]:.2f}, {whole[1]:.2f}",
    )


def median_ratio(plain: list[Took], ours: list[Took]) -> float:
    """Return how many times as fast ours is, the median of the rounds."""
    return statistics.median(
        one.seconds / other.seconds for one, other in zip(plain, ours, strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
