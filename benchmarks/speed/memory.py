"""P9: memory of the supervisor, of its children, and of the data that they share.

    python -m benchmarks.speed.memory children --trials 200 | data --rows 100000

The first prints, for a study of next to no work, the resident size of the process that trains at
each trial. The second trains two trials at once on an array, and prints what the two processes
hold of its file and by themselves, when both have read all of it. One line of JSON each.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import study_layer
from benchmarks.speed.fixed import STUDY
from benchmarks.speed.options import Options
from benchmarks.speed.processes import ROOT, python
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study
from hpo.study import run_study

MIB = 2**20
TRIALS, ROWS, FEATURES, FEW_ROWS = 200, 100_000, 256, 2_000
WARM_UP = 0.25
"""After this share of the trials, memory is to stay as it is."""
MOST_GROWTH = 0.05
"""How much a child may grow after that."""
MOST_HISTORY = 20 * 1024
"""Bytes that the supervisor may remember of each trial: its record, and what the sampler has."""
MOST_COPIED = 0.25
"""The share of the data that a child may hold for itself: batches, and what it makes of them."""


def measure(options: Options) -> Table:
    """Return what each of them holds, early and late."""
    layer = study_layer.parts_alone(100 if options.quick else study_layer.TRIALS)
    children = _run("children", "--trials", 10 if options.quick else TRIALS)
    few = _run("data", "--rows", FEW_ROWS)
    many = _run("data", "--rows", 4 * FEW_ROWS if options.quick else ROWS)
    first, last = layer[0], layer[-1]
    history = (last.rss - first.rss) * MIB / (last.trials - first.trials)
    rss = children["rss"]
    warm = rss[int(WARM_UP * len(rss)) :]
    growth = max(warm[-len(warm) // 4 :]) / max(warm[: max(len(warm) // 4, 1)]) - 1
    copied = (max(many["private"]) - max(few["private"])) / many["data"]
    rows = (
        ("supervisor, RSS", f"{first.rss:.0f} after {first.trials:,} trials", _at(last)),
        (
            f"child, RSS; {children['processes']} processes for {len(rss)} trials",
            f"{warm[0] / MIB:.0f} at trial {len(rss) - len(warm)}",
            f"{rss[-1] / MIB:.0f} at trial {len(rss)}",
        ),
        _data_row(few),
        _data_row(many),
    )
    return Table(
        goal="P9",
        title="memory of supervisor and children, MiB",
        command=f"python -m benchmarks.speed p9{options.said}",
        columns=("what", "early", "late"),
        rows=rows,
        verdicts=(
            verdict(
                f"supervisor: ≤ {MOST_HISTORY / 1024:.0f} KiB a trial, its history, and no more",
                f"{history / 1024:.1f} KiB a trial, {first.handles} and {last.handles} handles",
                history <= MOST_HISTORY and last.handles == first.handles,
            ),
            verdict(
                f"child: flat after {WARM_UP:.0%} of {len(rss)} trials (within {MOST_GROWTH:.0%})",
                f"{growth:+.1%}",
                growth <= MOST_GROWTH,
            ),
            verdict(
                f"data shared: a child holds ≤ {MOST_COPIED:.0%} of them for itself",
                f"{copied:.0%}",
                copied <= MOST_COPIED,
            ),
        ),
        notes=(
            "of the data, early: resident size of the file in both children, and what that is "
            "when shared pages count half; late: what each child holds for itself, of everything",
            "what a child holds for itself of the data is the difference between the two rows",
        ),
    )


def _at(part: study_layer.Part) -> str:
    return f"{part.rss:.0f} after {part.trials:,} trials"


def _data_row(found: dict[str, Any]) -> tuple[str, str, str]:
    held = f"{sum(found['rss']) / MIB:.0f} resident, {sum(found['pss']) / MIB:.0f} shared out"
    own = " and ".join(f"{one / MIB:.0f}" for one in found["private"])
    return f"two children on {found['data'] / MIB:.0f} of data", held, f"{own} private"


def _run(*words: object) -> dict[str, Any]:
    command = python("memory", *words)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Looking(study_layer.Silent):
    """Calls a function at each validation, while the child that reports it waits."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def validated(self, number: int, validation: Any, *, prune: bool) -> None:
        self._look()


def training() -> list[psutil.Process]:
    """Return the processes that train: those that the server of children has forked."""
    servers = psutil.Process().children()
    return [one for server in servers for one in server.children()]


def children(trials: int) -> dict[str, Any]:
    """Return the resident sizes of the process that trains, at each trial of a study."""
    rss: list[int] = []
    seen: set[int] = set()

    def look() -> None:
        (child,) = training()
        seen.add(child.pid)
        rss.append(child.memory_info().rss)

    spec = load_study({**STUDY, "budget": {"trials": trials}})
    with tempfile.TemporaryDirectory() as folder:
        run_study(spec, Path(folder), workers=1, observers=[Looking(look)])
    return {"rss": rss, "processes": len(seen)}


def data(rows: int) -> dict[str, Any]:
    """Return what two children hold that train at once on ``rows`` rows."""
    samples: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_rows(place / "rows.npz", rows)
        spec = load_study(
            {
                **STUDY,
                "data": {"source": "npz", "path": str(place / "rows.npz")},
                "trainer": {"max_epochs": 6, "batch_size": 256, "accelerator": "cpu"},
                "budget": {"trials": 2},
            }
        )

        def look() -> None:
            found = [_held(one.pid) for one in training()]
            if len(found) == 2:
                keys = ("rss", "pss", "private")
                samples.append({key: [one[key] for one in found] for key in keys})

        run_study(spec, place / "results", workers=2, observers=[Looking(look)])
        (file,) = (place / "results" / STUDY["name"] / "cache").glob("*.pt")  # type: ignore[operator]
        size = file.stat().st_size
    return {**max(samples, key=lambda one: sum(one["rss"])), "data": size}


def _write_rows(path: Path, rows: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, FEATURES), dtype=np.float32)
    np.savez(path, x=x, y=(x[:, 0] > 0).astype(np.int64))


def _held(pid: int) -> dict[str, int]:
    """Return what a process holds of prepared data, and by itself of everything, bytes."""
    found = {"rss": 0, "pss": 0, "private": 0}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):  # the head of a mapping: addresses, then its file
            inside = "/cache/" in rest and ".pt" in rest
        elif name in ("Rss:", "Pss:") and inside:
            found[name[:-1].lower()] += 1024 * int(rest.split()[0])
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Private_"):
            found["private"] += 1024 * int(line.split()[1])
    return found


def main() -> None:
    """Measure one of them and print it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", choices=["children", "data"])
    arguments.add_argument("--trials", type=int, default=TRIALS)
    arguments.add_argument("--rows", type=int, default=ROWS)
    given = arguments.parse_args()
    found = children(given.trials) if given.what == "children" else data(given.rows)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
