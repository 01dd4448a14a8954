"""P1b, the lean path alone: equal configs, equal epochs, by stock, by plain PyTorch, by ours."""

import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.speed import ray_tune
from benchmarks.speed.options import Options
from benchmarks.speed.races import Ran, StockOptions, run_floor, run_ours, run_stock
from benchmarks.speed.ratios import agrees, difference, geometric, pairwise, signed, spread
from benchmarks.speed.studies import (
    Params,
    Values,
    configs_of,
    draw,
    given_study,
    shrunken,
    study_of,
)
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study

STUDIES = {"mlp": 24, "quickstart": 24, "gru": 6}
"""How many configs of each; a sequence takes long."""
OVER_STOCK, OVER_FLOOR = 2.5, 0.8
RIVALS = ("stock", "floor", "ours")
COLUMNS = (
    "study",
    "configs × epochs",
    *(f"{name}, trial-epochs/s" for name in RIVALS),
    "ours ÷ stock (min–max)",
    "ours ÷ floor (min–max)",
    "ours ÷ ray",
    "whole commands, s (stock, floor, ours)",
    "mean objective (stock, floor, ours)",
    "ours less stock",
    "ours less floor",
)


@dataclass(frozen=True)
class Measured:
    """The rounds of one study."""

    name: str
    n_configs: int
    epochs: int
    runs: Mapping[str, list[Ran]] = field(default_factory=lambda: {name: [] for name in RIVALS})
    ray: list[float] = field(default_factory=list)

    def rates(self, rival: str) -> list[float]:
        """Return the rates of its rounds."""
        return [ran.rate for ran in self.runs[rival]]

    def ratios(self, rival: str) -> list[float]:
        """Return how many times as fast ours was, round by round."""
        return pairwise(self.rates("ours"), self.rates(rival))

    def values(self, rival: str) -> list[float]:
        """Return the objective of each config that all could train, in the first round."""
        found = {
            name: {line.number: line.value for line in runs[0].lines if line.value is not None}
            for name, runs in self.runs.items()
        }
        common = set.intersection(*(set(one) for one in found.values()))
        return [found[rival][number] for number in sorted(common)]

    def gap(self, rival: str) -> tuple[float, float]:
        """Return by how much our objectives differ in the mean, and its standard error."""
        return difference(self.values("ours"), self.values(rival))

    def row(self) -> tuple[str, ...]:
        """Return the study's row."""
        whole = [statistics.median(r.seconds for r in self.runs[name]) for name in RIVALS]
        means = [statistics.fmean(self.values(name)) for name in RIVALS]
        ray = spread(pairwise(self.rates("ours"), self.ray)) if self.ray else ray_tune.MISSING
        return (
            self.name,
            f"{self.n_configs} × {self.epochs}",
            *(f"{statistics.median(self.rates(name)):.1f}" for name in RIVALS),
            spread(self.ratios("stock")),
            spread(self.ratios("floor")),
            ray,
            ", ".join(f"{seconds:.1f}" for seconds in whole),
            ", ".join(f"{mean:.4f}" for mean in means),
            signed(*self.gap("stock")),
            signed(*self.gap("floor")),
        )


def measure(options: Options) -> Table:
    """Measure every study."""
    studies = {"mlp": 3} if options.quick else STUDIES
    done = []
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        for name, n in studies.items():
            values = study_of(name, Path(folder), options.accelerator)
            values = shrunken(values) if options.quick else values
            done.append(measure_study(name, values, n, options, Path(folder) / name))
    return _table(done, options)


def measure_study(name: str, values: Values, n: int, options: Options, folder: Path) -> Measured:
    """Let the rivals train the same configs by turns; a first round that does not count warms up.

    Raises:
        RuntimeError: if they did not train the same configs.
    """
    params = draw(load_study(values), n)
    epochs = int(values["trainer"]["max_epochs"])
    measured = Measured(name, n, epochs)
    if not options.quick:
        few = shrunken(values, 1)
        one_round(Measured(name, 2, 1), few, draw(load_study(few), 2), folder / "warm-up")
    for number in range(options.take(options.rounds, 5)):
        one_round(measured, values, params, folder / str(number))
        said = ", ".join(f"{rival} {measured.rates(rival)[-1]:.1f}/s" for rival in RIVALS)
        print(f"P1b {name}, round {number + 1}: {said}", file=sys.stderr, flush=True)
    return measured


def one_round(measured: Measured, values: Values, params: list[Params], folder: Path) -> None:
    """Add a round: stock, floor, ours, and Ray Tune where it is installed."""
    given = given_study(values, params)
    configs = [config.plain() for config in configs_of(load_study(given), params)]
    seed = load_study(given).search.seed
    stock = run_stock(given, folder / "stock", StockOptions(seed=seed, given=params))
    floor = run_floor(configs, folder / "floor")
    ours = run_ours(given, folder / "ours")
    check_same({"stock": stock, "floor": floor, "ours": ours})
    for name, ran in zip(RIVALS, (stock, floor, ours), strict=True):
        measured.runs[name].append(ran)
    if ray_tune.is_there():
        measured.ray.append(ray_tune.run_ray(configs, folder / "ray").rate)


def check_same(runs: Mapping[str, Ran]) -> None:
    """Check that all trained the same configs, each to the same epoch.

    Raises:
        RuntimeError: if not; it names the first that differ.
    """
    trained = {
        name: {line.number: (line.same, line.epochs) for line in ran.lines if line.same}
        for name, ran in runs.items()
    }
    reference = next(iter(trained.values()))
    for name, one in trained.items():
        wrong = [n for n in reference if one.get(n) != reference[n]]
        if wrong:
            first = wrong[0]
            what = f"trial {first}: {one.get(first)}, not {reference[first]}"
            raise RuntimeError(f"{name} did not train the same configs; {what}")


def _table(done: list[Measured], options: Options) -> Table:
    over = {
        name: geometric([statistics.median(one.ratios(name)) for one in done])
        for name in ("stock", "floor")
    }
    gaps = [one.gap(name) for one in done for name in ("stock", "floor")]
    verdicts = (
        verdict(f"≥ {OVER_STOCK}× stock", f"{over['stock']:.2f}×", over["stock"] >= OVER_STOCK),
        verdict(
            f"≥ {OVER_FLOOR}× two plain PyTorch processes",
            f"{over['floor']:.2f}×",
            over["floor"] >= OVER_FLOOR,
        ),
        verdict(
            "the same quality (mean differences within two standard errors)",
            f"{sum(agrees(*gap) for gap in gaps)} of {len(gaps)} within",
            all(agrees(*gap) for gap in gaps),
        ),
    )
    return Table(
        goal="P1b",
        title="the lean path alone",
        command=f"python -m benchmarks.speed p1b{options.said}",
        columns=COLUMNS,
        rows=tuple(one.row() for one in done),
        verdicts=verdicts,
        notes=(
            "Figures over studies are geometric means of the medians; a rate is trial-epochs from "
            "ready (imports and data loaded, first trial begins) to the end of the last trial.",
            "Configs: the families' defaults, then random draws from the whole space. Stock and "
            "ours ask the pruner after every epoch, with storage and logger on, and it stops none.",
        ),
    )
