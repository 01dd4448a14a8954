"""P10: 64 small trials on one GPU: one at a time, eight processes that share it, and ours."""

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.options import Options
from benchmarks.speed.races import Ran, StockOptions, run_ours, run_stock
from benchmarks.speed.ratios import pairwise, spread
from benchmarks.speed.studies import draw, given_study, shrunken, study_of
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study

TRIALS, PROCESSES, ROUNDS = 64, 8, 3
OVER_ONE, OVER_SHARED = 10.0, 2.0
NAMES = ("one at a time under Lightning", f"{PROCESSES} processes share it", "ours")


def has_gpu() -> bool:
    """Return whether torch sees a GPU."""
    import torch

    return torch.cuda.is_available()


def measure(options: Options) -> Table:
    """Let all train the same configs by turns."""
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        runs = _rounds(options, Path(folder))
    one, shared, ours = ([ran.rate for ran in runs[name]] for name in NAMES)
    over_one, over_shared = pairwise(ours, one), pairwise(ours, shared)
    rows = tuple(
        (
            name,
            f"{statistics.median(ran.rate for ran in runs[name]):.1f}",
            f"{statistics.median(ran.window for ran in runs[name]):.1f}",
            f"{statistics.median(ran.seconds for ran in runs[name]):.1f}",
        )
        for name in NAMES
    )
    return Table(
        goal="P10",
        title=f"{4 if options.quick else TRIALS} small trials on one GPU",
        command=f"python -m benchmarks.speed --gpu p10{options.said.replace(' --gpu', '')}",
        columns=("", "trial-epochs/s", "s from ready to the end", "s of the whole command"),
        rows=rows,
        verdicts=(
            verdict(
                f"≥ {OVER_ONE:g}× one at a time",
                spread(over_one),
                statistics.median(over_one) >= OVER_ONE,
            ),
            verdict(
                f"≥ {OVER_SHARED:g}× {PROCESSES} processes that share it",
                spread(over_shared),
                statistics.median(over_shared) >= OVER_SHARED,
            ),
        ),
        notes=("Ours trains several children on the GPU; trials are not fused yet.",),
    )


def _rounds(options: Options, folder: Path) -> dict[str, list[Ran]]:
    values = study_of("mlp", folder, options.accelerator)
    values = shrunken(values) if options.quick else values
    params = draw(load_study(values), 4 if options.quick else TRIALS)
    given = given_study(values, params)
    runs: dict[str, list[Ran]] = {name: [] for name in NAMES}
    for number in range(options.take(options.rounds, ROUNDS)):
        place = folder / str(number)
        for name, workers in zip(NAMES[:2], (1, PROCESSES), strict=True):
            how = StockOptions(seed=0, given=params, workers=workers)
            runs[name].append(run_stock(given, place / str(workers), how))
        runs[NAMES[2]].append(run_ours(given, place / "ours", "--workers", PROCESSES))
        said = ", ".join(f"{name}: {ran[-1].rate:.1f}/s" for name, ran in runs.items())
        print(f"P10 round {number + 1}: {said}", file=sys.stderr, flush=True)
    return runs
