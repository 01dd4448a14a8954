"""P7: what each finds in the same wall time, on test rows that nobody chose by."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import boosting
from benchmarks.speed.options import Options
from benchmarks.speed.processes import python, rival
from benchmarks.speed.races import HPO, StockOptions, run_ours, run_stock, test_stock
from benchmarks.speed.rival_lines import Line, best_so_far
from benchmarks.speed.studies import Values, shrunken, study_of, write_study
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study

SETS = {
    "mlp": "digits, mlp",
    "cnn": "digits, cnn",
    "table": "breast_cancer, table",
    "regression": "diabetes, regression",
    "gru": "sentences, gru",
}
NO_TABLE = ("gru",)
MINUTES, QUICK_MINUTES = 10.0, 0.5
NO_GLUON = "AutoGluon: not installed"
COLUMNS = (
    "set",
    "objective",
    "ours",
    "stock",
    "HistGradientBoosting",
    "AutoGluon",
    "trials (ours, stock, boosting)",
    "wall s (ours, stock)",
    "ahead of stock",
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one program chose: its value on validation and on test rows, after how many tries."""

    validation: float
    test: float
    tries: int
    seconds: float = 0.0

    def text(self) -> str:
        """Return the test value, in brackets that of the validation."""
        return f"{self.test:.4f} ({self.validation:.4f})"


def ours(values: Values, minutes: float, folder: Path) -> Found:
    """Run our study so long, and evaluate its best trial's checkpoint on the test rows."""
    timed = {**values, "budget": {"time": f"{60 * minutes:g}s"}}
    ran = run_ours(timed, folder)
    asked = ("evaluate", "ours", "--results", folder / "results", "--test", "--json")
    with rival(*HPO, *asked) as one:
        said = "".join(text for _, text in one.lines())
        one.wait()
    tested = float(json.loads(said)["result"]["value"])
    value = _best(ran.lines, values)
    return Found(validation=value, test=tested, tries=len(ran.lines), seconds=ran.seconds)


def stock(values: Values, minutes: float, folder: Path) -> Found:
    """Run stock so long, and test its best trial's checkpoint."""
    ran = run_stock(values, folder, StockOptions(seed=0, minutes=minutes))
    tested = test_stock(folder, 0)
    value = _best(ran.lines, values)
    return Found(validation=value, test=tested, tries=len(ran.lines), seconds=ran.seconds)


def boosted(values: Values, minutes: float, folder: Path, *words: str) -> Found:
    """Let gradient boosting search so long."""
    path = write_study(values, folder / "study.yaml")
    with rival(*python("boosting", path, "--seconds", 60 * minutes, *words)) as one:
        said = [text for _, text in one.lines()]
        one.wait()
    return Found(**json.loads(said[-1]))


def _best(lines: list[Line], values: Values) -> float:
    found = best_so_far(lines, maximize=_maximizes(values))
    if not found:
        raise RuntimeError("no trial is complete")
    return found[-1][1]


def _maximizes(values: Values) -> bool:
    space = load_study(values).space
    config = space.resolve(space.defaults()[0].params)
    return config.objective.direction == "maximize"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What all came to on one set."""

    name: str
    metric: str
    maximize: bool
    found: dict[str, Found]

    @property
    def ahead(self) -> float:
        """By how much ours is better than stock, on test rows."""
        gap = self.found["ours"].test - self.found["stock"].test
        return gap if self.maximize else -gap

    def cells(self) -> tuple[str, ...]:
        """Return its row of the table."""
        boosted = self.found.get("boosting")
        glued = self.found.get("autogluon")
        none = "–" if boosted is None else NO_GLUON
        all_three = ("ours", "stock", "boosting")
        tries = [self.found[name].tries for name in all_three if name in self.found]
        seconds = [self.found[name].seconds for name in ("ours", "stock")]
        answer = "yes" if self.ahead > 0 else "equal" if self.ahead == 0 else "no"
        return (
            self.name,
            self.metric,
            self.found["ours"].text(),
            self.found["stock"].text(),
            boosted.text() if boosted else "–",
            glued.text() if glued else none,
            ", ".join(map(str, tries)),
            ", ".join(f"{one:.0f}" for one in seconds),
            f"{answer} ({self.ahead:+.4f})",
        )


def measure_set(name: str, values: Values, minutes: float, folder: Path) -> Row:
    """Give each program its time on one set."""
    began = time.time()
    found = {
        "stock": stock(values, minutes, folder / "stock"),
        "ours": ours(values, minutes, folder / "ours"),
    }
    if name not in NO_TABLE:
        found["boosting"] = boosted(values, minutes, folder / "boosting")
        if boosting.has_autogluon():
            found["autogluon"] = boosted(values, minutes, folder / "gluon", "--autogluon")
    metric = str(values["objective"]["metric"])
    row = Row(name=SETS[name], metric=metric, maximize=_maximizes(values), found=found)
    said = f"P7 {' | '.join(row.cells())} ({time.time() - began:.0f} s)"
    print(said, file=sys.stderr, flush=True)
    return row


def measure(options: Options) -> Table:
    """Measure every set."""
    minutes = options.minutes or (QUICK_MINUTES if options.quick else MINUTES)
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        rows = list(_rows(options, minutes, Path(folder)))
    behind = [row for row in rows if row.ahead <= 0]
    return Table(
        goal="P7",
        title=f"quality after {minutes:g} minutes of wall time, two cores",
        command=f"python -m benchmarks.speed p7{options.said}",
        columns=COLUMNS,
        rows=tuple(row.cells() for row in rows),
        verdicts=(
            verdict(
                "ours ahead of stock on every set",
                f"{len(rows) - len(behind)} of {len(rows)}",
                not behind,
            ),
        ),
        notes=(
            "Test value of what was chosen on validation rows, in brackets its validation value. "
            "One seed; small test splits: a row of digits' is 0.28 points.",
            "Spaces as shipped, the budget is time alone. Boosting has the same prepared rows, "
            "images as a table of pixels, random search, its own defaults first.",
        ),
    )


def _rows(options: Options, minutes: float, folder: Path) -> Iterator[Row]:
    for name in ("table",) if options.quick else SETS:
        values = study_of(name, folder)
        values = shrunken(values) if options.quick else values
        yield measure_set(name, values, minutes, folder / name)
