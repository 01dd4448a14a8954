"""P8: how long `hpo --help`, `hpo best` and `hpo list` take as whole processes.

Each beside `python -c pass`, which no Python program is faster than; they take turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.options import Options
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study
from hpo.study import run_study

MOST_S = 0.4
ROUNDS = 15
STUDY = "tiny"
NOTHING = "python -c pass"
HEAVY = ("torch", "pytorch_lightning", "optuna", "pandas", "sklearn")
TRIALS = 20


@dataclass(frozen=True, kw_only=True)
class Took:
    """What one process took, seconds."""

    wall: float
    cpu: float


def measure(options: Options) -> Table:
    """Return how long each verb takes, and whether it loads what it has no need of."""
    rounds = options.take(options.rounds, ROUNDS, quick=2)
    with tempfile.TemporaryDirectory() as folder:
        _study(Path(folder), 2 if options.quick else TRIALS)
        place = ["--results", folder]
        verbs = {
            NOTHING: [],
            "hpo --help": ["--help"],
            "hpo best STUDY": ["best", STUDY, *place],
            "hpo list": ["list", *place],
        }
        loaded = {name: _loaded(words) for name, words in verbs.items() if words}
        found: dict[str, list[Took]] = {name: [] for name in verbs}
        for _ in range(rounds + 1):
            for name, words in verbs.items():
                found[name].append(took(_command(words)))
    return _table({name: all_of[1:] for name, all_of in found.items()}, loaded, options)


def took(command: Sequence[str]) -> Took:
    """Run a command; return its wall and CPU time, without those of what it left running.

    Raises:
        RuntimeError: if it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Took(wall=wall, cpu=used.ru_utime + used.ru_stime)


def _command(words: Sequence[str]) -> list[str]:
    if not words:
        return [sys.executable, "-c", "pass"]
    return [str(Path(sys.executable).parent / "hpo"), *words]


def _loaded(words: Sequence[str]) -> list[str]:
    """Return which heavy packages a verb loads."""
    program = (
        f"import sys; sys.argv = {['hpo', *words]!r}\n"
        "from hpo.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print(*sorted({set(HEAVY)!r} & {{*sys.modules}}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1].split()


def _study(results: Path, trials: int) -> None:
    spec = load_study(
        {
            "name": STUDY,
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 64}},
            "optimizer": {"name": "adamw", "lr": {"low": 1e-4, "high": 1e-1, "log": True}},
            "trainer": {"max_epochs": 1, "batch_size": 128},
            "search": {"sampler": "random", "pruner": "none"},
            "budget": {"trials": trials},
        }
    )
    run_study(spec, results)


def _table(found: dict[str, list[Took]], loaded: dict[str, list[str]], options: Options) -> Table:
    nothing = statistics.median(one.cpu for one in found[NOTHING])
    rows, slowest = [], 0.0
    for name, times in found.items():
        walls = sorted(one.wall for one in times)
        wall, cpu = statistics.median(walls), statistics.median(one.cpu for one in times)
        heavy = ", ".join(loaded.get(name, [])) or "none of them"
        rows.append(
            (
                name,
                f"{wall:.3f} ({walls[0]:.3f} to {walls[-1]:.3f})",
                f"{cpu:.3f}",
                f"{cpu / nothing:.1f}×",
                heavy if name in loaded else "–",
            )
        )
        slowest = max(slowest, wall)
    heavy = sorted({name for names in loaded.values() for name in names})
    came = f"{slowest:.2f} s at most, {', '.join(heavy) + ' imported' if heavy else 'no torch'}"
    return Table(
        goal="P8",
        title="the verbs that only look, as whole processes",
        command=f"python -m benchmarks.speed p8{options.said}",
        columns=("command", "wall s, median (range)", "CPU s", "CPU of `pass`", "heavy imports"),
        rows=tuple(rows),
        verdicts=(verdict("≤ 0.4 s, torch not imported", came, slowest <= MOST_S and not heavy),),
        notes=(f"heavy imports are looked for among {', '.join(HEAVY)}",),
    )
