"""What `hpo serve` costs beside the model itself: rows a second, and how long one row takes.

python -m benchmarks.serving.service [--rounds 5] [--seconds 3] [--write]
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.serving.loading import Body, Load, Server, ask, exported, serving, two_cores
from benchmarks.speed.__main__ import PAGE, section, write
from benchmarks.speed.machine import load as machine_load
from benchmarks.speed.table import Table, verdict
from hpo.ship.feeds import feeds_of
from lightning_modules.config import RunConfig
from lightning_modules.data.raw import load as load_data

FORMS = ("json", "npy")
MANY, CONNECTIONS = 64, 4
SHARE, TAIL = 0.7, 5.0
Rows = Any

BARE = """
import json, os, sys, time
os.sched_setaffinity(0, {int(sys.argv[3])})
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(open(sys.argv[1], "rb").read(), options)
with np.load(sys.argv[2], allow_pickle=False) as kept:
    feeds = {k: kept[k].astype(object) if kept[k].dtype.kind == "U" else kept[k] for k in kept}
n_rows = len(next(iter(feeds.values())))
print("ready", flush=True)
for line in sys.stdin:
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < float(line):
        session.run(None, feeds)
        done += 1
    print(done * n_rows / (time.perf_counter() - began), flush=True)
"""
"""The same rows, in memory already, through onnxruntime in a bare loop."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, and how rows are sent to it."""

    name: str
    sections: dict[str, Any]


def cases(folder: Path) -> list[Case]:
    """Return the models; the images of 28 by 28 are made up: what they show costs nothing."""
    digits = {"task": {"kind": "multiclass"}, "data": {"source": "digits"}}
    cancer = {"task": {"kind": "binary"}, "data": {"source": "breast_cancer"}}
    random, made = np.random.default_rng(0), folder / "images.npz"
    pixels = random.integers(0, 256, (1000, 1, 28, 28), dtype=np.uint8)
    np.savez(made, x=pixels, y=random.integers(0, 10, 1000))
    large = {"task": {"kind": "multiclass"}, "data": {"source": "npz", "path": str(made)}}
    named = {
        "mlp, 30 columns (breast_cancer)": (cancer, "mlp"),
        "ft_transformer, 30 columns (breast_cancer)": (cancer, "ft_transformer"),
        "mlp, 8×8 images (digits)": (digits, "mlp"),
        "mlp, 28×28 images": (large, "mlp"),
        "cnn, 28×28 images": (large, "cnn"),
        "resnet, 28×28 images": (large, "resnet"),
    }
    return [
        Case(name=name, sections={**sections, "model": {"family": family}})
        for name, (sections, family) in named.items()
    ]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one case came to, the median of its rounds."""

    bare: float
    served: float
    share: float
    """Of the bare loop's rows a second, round by round."""
    p50: float
    p99: float
    tail: float
    refused: int


def main() -> int:
    """Measure and print; return 1 if a request was refused or lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.service")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--cases", help="a word of their names")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args()
    began, before = time.monotonic(), machine_load()
    found: dict[tuple[str, str], Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, case in enumerate(cases(Path(folder))):
            if given.cases is not None and given.cases not in case.name:
                continue
            model, rows = _made(case, Path(folder) / str(i))
            for form in FORMS:
                found[case.name, form] = measured(
                    model, rows, form, rounds=given.rounds, seconds=given.seconds
                )
    text = section(_table(found), time.monotonic() - began, before)
    print(text)
    if given.write:
        write("service", text)
    return 1 if any(one.refused for one in found.values()) else 0


def measured(model: Path, rows: Rows, form: str, *, rounds: int, seconds: float) -> Measured:
    """Let the bare loop and the server take turns on one core, asked from another."""
    ours, theirs = two_cores()
    many, one = body_of(rows[:MANY], form), body_of(rows[:1], form)
    kept = model.with_suffix(".npz")
    np.savez(kept, **_kept(model, rows[:MANY]))
    bare = subprocess.Popen(
        [sys.executable, "-c", BARE, str(model), str(kept), str(ours)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert bare.stdin is not None
    assert bare.stdout is not None
    bare.stdout.readline()
    loops, loads, singles = [], [], []
    with serving(model, core=ours) as server:
        _ask(server, many, 1, theirs, CONNECTIONS)
        for _ in range(rounds):
            bare.stdin.write(f"{seconds}\n")
            bare.stdin.flush()
            loops.append(float(bare.stdout.readline()))
            loads.append(_ask(server, many, seconds, theirs, CONNECTIONS))
            _ask(server, one, 1, theirs, 1)  # until what the load left behind is done
            singles.append(_ask(server, one, seconds, theirs, 1))
    bare.communicate()
    served = [MANY * load.requests / load.seconds for load in loads]
    return Measured(
        bare=statistics.median(loops),
        served=statistics.median(served),
        share=statistics.median(s / b for s, b in zip(served, loops, strict=True)),
        p50=statistics.median(load.p50 for load in singles),
        p99=statistics.median(load.p99 for load in singles),
        tail=statistics.median(load.p99 / load.p50 for load in singles),
        refused=sum(load.refused + load.lost for load in (*loads, *singles)),
    )


def body_of(rows: Rows, form: str) -> Body:
    """Return a request for rows."""
    if form == "npy":
        stream = io.BytesIO()
        np.save(stream, rows.to_numpy() if isinstance(rows, pd.DataFrame) else np.asarray(rows))
        return Body(content=stream.getvalue(), content_type="application/x-npy")
    plain = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows.tolist()
    return Body(content=json.dumps({"rows": plain}).encode(), content_type="application/json")


def _ask(server: Server, body: Body, seconds: float, core: int, connections: int) -> Load:
    return ask(server, body, seconds=seconds, connections=connections, core=core)


def _made(case: Case, folder: Path) -> tuple[Path, Rows]:
    """Return a case's model file, and rows for it."""
    model = exported(case.sections, folder)
    config = RunConfig.model_validate(case.sections)
    raw = load_data(config.data, task_kind=str(config.kind))  # type: ignore[arg-type]
    return model, raw.x[:MANY]


def _kept(model: Path, rows: Rows) -> dict[str, Any]:
    """Return the model's inputs, texts as NumPy keeps them in a file."""
    from hpo.predict.onnx_file import OnnxPredictor

    feeds = feeds_of(OnnxPredictor.open(model, threads=1).manifest, rows)
    return {k: v.astype(str) if v.dtype == object else v for k, v in feeds.items()}


def _table(found: dict[tuple[str, str], Measured]) -> Table:
    rows = [
        (
            name,
            form,
            f"{one.bare:,.0f}",
            f"{one.served:,.0f}",
            f"{one.share:.0%}",
            f"{1000 * one.p50:.2f}",
            f"{1000 * one.p99:.2f}",
            f"{one.tail:.1f}",
        )
        for (name, form), one in found.items()
    ]
    return Table(
        goal="Service",
        title="rows a second on one core, and the time of one row",
        command="python -m benchmarks.serving.service",
        columns=(
            "model",
            "rows as",
            "bare loop, rows/s",
            f"served, {MANY} rows a request, rows/s",
            "of the bare loop",
            "1 row p50 ms",
            "p99 ms",
            "p99 / p50",
        ),
        rows=tuple(rows),
        verdicts=_verdicts(list(found.items())),
        notes=(
            "bare loop: session.run of onnxruntime on arrays that are in memory already, one "
            "thread, on the server's core; the two took turns",
            f"the server has one core; wrk asks from another over {CONNECTIONS} kept connections, "
            "single rows over one",
            f"HTTP parser: {_parser()}",
        ),
    )


def _verdicts(found: Sequence[tuple[tuple[str, str], Measured]]) -> tuple[str, ...]:
    held = [f"{name} as {form}" for (name, form), one in found if one.share >= SHARE]
    came = f"so it is for {len(held)} of {len(found)}: {'; '.join(held) or 'none'}"
    tails = [one.tail for _, one in found]
    return (
        verdict(f"≥ {SHARE:.0%} of the bare loop", came, len(held) == len(found)),
        verdict(f"p99 < {TAIL:g} × p50", f"{max(tails):.1f} at most", max(tails) < TAIL),
    )


def _parser() -> str:
    """Return what uvicorn reads requests with here."""
    from importlib.util import find_spec

    fast = [name for name in ("httptools", "uvloop") if find_spec(name)]
    return " and ".join(fast) or "h11, asyncio (httptools and uvloop are not installed)"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
