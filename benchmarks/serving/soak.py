"""Two minutes of load with ten reloads, and bad files between: does a request fail?

python -m benchmarks.serving.soak [--minutes 2] [--reloads 10] [--workers 2] [--write]
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.serving.loading import Server, ask, exported, serving
from benchmarks.serving.service import body_of
from benchmarks.speed.__main__ import PAGE, section, write
from benchmarks.speed.machine import load as machine_load
from benchmarks.speed.table import Table, verdict

DIGITS = {"task": {"kind": "multiclass"}, "data": {"source": "digits"}, "model": {"family": "mlp"}}
ROWS, CONNECTIONS = 8, 16


def main() -> int:
    """Load, reload and print; return 1 if a request failed or a reload did not happen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args()
    began, before = time.monotonic(), machine_load()
    with tempfile.TemporaryDirectory() as folder:
        table, held = soak(Path(folder), given)
    text = section(table, time.monotonic() - began, before)
    print(text)
    if given.write:
        write("soak", text)
    return 0 if held else 1


def soak(folder: Path, given: argparse.Namespace) -> tuple[Table, bool]:
    """Return what came of it, and whether nothing failed."""
    files = [exported({**DIGITS, "seed": seed}, folder / str(seed)) for seed in (0, 1)]
    model = folder / "model.onnx"
    _put(files[0].read_bytes(), model)
    images = np.random.default_rng(0).integers(0, 17, (ROWS, 1, 8, 8))
    seconds = 60 * given.minutes
    with serving(model, "--workers", str(given.workers)) as server:
        ended = threading.Event()
        changing = threading.Thread(
            target=_change, args=(files, model, ended, seconds / (given.reloads + 1))
        )
        changing.start()
        load = ask(server, body_of(images, "json"), seconds=seconds, connections=CONNECTIONS)
        ended.set()
        changing.join()
        taken = server.metric('hpo_reloads_total{result="taken"}'.partition("{")[0])
        counts = _reloads(server)
        answered = server.metric("hpo_rows_total") / ROWS
    failed = load.refused + load.lost
    wanted = given.reloads * given.workers
    held = failed == 0 and counts["taken"] >= wanted
    rows = (
        ("requests answered", f"{load.requests:,}"),
        ("by the server's own count", f"{answered:,.0f}"),
        ("refused or lost", str(failed)),
        ("new models taken, by all workers", f"{counts['taken']:.0f}"),
        ("damaged files refused", f"{counts['refused']:.0f}"),
        ("p50 / p99 ms", f"{1000 * load.p50:.2f} / {1000 * load.p99:.2f}"),
    )
    must = f"no failed request in {given.minutes:g} minutes with {given.reloads} reloads"
    came = f"{failed} of {load.requests:,}, {taken:.0f} files seen by {given.workers} workers"
    return (
        Table(
            goal="Soak",
            title="load and reloads together",
            command=f"python -m benchmarks.serving.soak --minutes {given.minutes:g}",
            columns=("what", "came to"),
            rows=rows,
            verdicts=(verdict(must, came, held),),
            notes=(f"{CONNECTIONS} connections of wrk, {ROWS} rows a request as JSON",),
        ),
        held,
    )


def _change(files: list[Path], model: Path, ended: threading.Event, every_s: float) -> None:
    """Put one file and the other in the model's place, and a damaged one between."""
    turn = 0
    while not ended.wait(every_s / 2):
        turn += 1
        whole = files[(turn + 1) // 2 % 2].read_bytes()
        _put(whole if turn % 2 else whole[: len(whole) // 2], model)


def _put(content: bytes, model: Path) -> None:
    temporary = model.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(model)


def _reloads(server: Server) -> dict[str, float]:
    return {
        result: server.metric(f'hpo_reloads_total{{result="{result}"}}')
        for result in ("taken", "refused")
    }


if __name__ == "__main__":
    sys.exit(main())
