"""P1, the headline: wall time until a study has found what stock has found after 60 trials."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.options import Options
from benchmarks.speed.races import StockOptions, run_ours, run_stock
from benchmarks.speed.ratios import geometric
from benchmarks.speed.rival_lines import Line, best_so_far
from benchmarks.speed.studies import Values, shrunken, study_of, with_settings
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study

STUDIES = ("mlp", "cnn", "table", "gru")
TRIALS, SEEDS, BOUND = 60, 3, 3.0
"""Stock's trials; seeds; how many times stock's whole time ours is given at most."""
GOAL = 4.0
COLUMNS = (
    "study",
    "seed",
    "target",
    "stock, s to it",
    "stock, s for all trials",
    "ours, s to it",
    "stock ÷ ours",
    "all of stock ÷ ours",
)


@dataclass(frozen=True, kw_only=True)
class Race:
    """One study with one seed."""

    study: str
    seed: int
    target: float
    stock_s: float
    stock_whole_s: float
    ours_s: float
    censored: bool
    """Whether ours had not reached the target when its time was over."""

    @property
    def ratio(self) -> float:
        """How many times as fast ours reached the target."""
        return self.stock_s / self.ours_s

    @property
    def whole_ratio(self) -> float:
        """The same against all of stock's trials."""
        return self.stock_whole_s / self.ours_s

    def row(self) -> tuple[str, ...]:
        """Return its row."""
        ours = f"> {self.ours_s:.1f}" if self.censored else f"{self.ours_s:.1f}"
        below = "< " if self.censored else ""
        return (
            self.study,
            str(self.seed),
            f"{self.target:.4f}",
            f"{self.stock_s:.1f}",
            f"{self.stock_whole_s:.1f}",
            ours,
            f"{below}{self.ratio:.2f}×",
            f"{below}{self.whole_ratio:.2f}×",
        )


def race(name: str, values: Values, seed: int, trials: int, folder: Path) -> Race:
    """Let stock run all its trials, then ours until it has found as much."""
    values = with_settings(values, search={"seed": seed})
    space = load_study(values).space
    objective = space.resolve(space.defaults()[0].params).objective
    maximize = objective.direction == "maximize"
    stock = run_stock(values, folder / "stock", StockOptions(seed=seed, trials=trials))
    reached = best_so_far(stock.lines, maximize=maximize)
    if not reached:
        raise RuntimeError(f"{name}: stock completed no trial")
    at, target = reached[-1]
    whole = max(line.t for line in stock.lines) - stock.began

    def enough(line: Line) -> bool:
        if line.state != "complete" or line.value is None:
            return False
        return line.value >= target if maximize else line.value <= target

    unlimited = {**values, "budget": {"trials": 100_000}}
    bound = BOUND * whole
    ours = run_ours(unlimited, folder / "ours", enough=enough, bound_s=bound)
    found = [line for line in ours.lines if enough(line)]
    return Race(
        study=name,
        seed=seed,
        target=target,
        stock_s=at - stock.began,
        stock_whole_s=whole,
        ours_s=found[0].t - ours.began if found else bound,
        censored=not found,
    )


def measure(options: Options) -> Table:
    """Race on every study with every seed."""
    trials = 4 if options.quick else TRIALS
    races: list[Race] = []
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        for seed in range(options.take(options.seeds, SEEDS)):
            for name in STUDIES[:1] if options.quick else STUDIES:
                values = study_of(name, Path(folder), options.accelerator)
                values = shrunken(values) if options.quick else values
                one = race(name, values, seed, trials, Path(folder) / f"{name}-{seed}")
                print(f"P1 {' | '.join(one.row())}", file=sys.stderr, flush=True)
                races.append(one)
    return _table(races, trials, options)


def _table(races: list[Race], trials: int, options: Options) -> Table:
    ratio = geometric([one.ratio for one in races])
    whole = geometric([one.whole_ratio for one in races])
    late = sum(one.censored for one in races)
    rows = [one.row() for one in sorted(races, key=lambda one: (one.study, one.seed))]
    for name in dict.fromkeys(one.study for one in races):
        of_it = [one for one in races if one.study == name]
        means = (geometric([r.ratio for r in of_it]), geometric([r.whole_ratio for r in of_it]))
        rows.append((f"**{name}**", "mean", "", "", "", "", *(f"**{m:.2f}×**" for m in means)))
    bounded = f"; {late} of {len(races)} ended at the bound, where ours counts better than it was"
    return Table(
        goal="P1",
        title=f"wall time until what stock has found after {trials} trials",
        command=f"python -m benchmarks.speed p1{options.said}",
        columns=COLUMNS,
        rows=tuple(rows),
        verdicts=(
            verdict(
                f"≥ {GOAL:g}× shorter, geometric mean (≥ 2.5× before the search's own share)",
                f"{ratio:.2f}×{bounded if late else ''}",
                ratio >= GOAL and not late,
            ),
        ),
        notes=(
            f"Against all of stock's {trials} trials: {whole:.2f}×.",
            "From the start of each command, imports included. Spaces as shipped, each side's own "
            "defaults; ours begins with the families' default configs. Complete trials alone "
            f"count. Ours ends at {BOUND:g} times stock's whole time at the latest (`>`).",
        ),
    )
