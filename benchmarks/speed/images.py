"""P3: convolutional networks on Fashion-MNIST, ours with the precision that its probe chooses."""

import gzip
import itertools
import statistics
import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed.lean import check_same
from benchmarks.speed.machine import has_matrix_units
from benchmarks.speed.options import Options
from benchmarks.speed.races import Ran, StockOptions, run_ours, run_stock
from benchmarks.speed.ratios import difference, pairwise, signed, spread
from benchmarks.speed.studies import Values, draw, given_study, with_settings
from benchmarks.speed.table import Table, verdict
from hpo.spec import load_study

FASHION = Path("/usr/share/datasets/fashion-mnist")
CONFIGS, EPOCHS, ROUNDS = 8, 5, 3
TRAINED, VALIDATED = 20_000, 5_000
WITH_UNITS, WITHOUT_UNITS, POINTS = 2.5, 1.3, 0.3
TESTED = 100
"""Nobody looks at them; without any, training images would be set apart."""


def subset(n_rows: int, folder: Path) -> Path:
    """Write the first rows of Fashion-MNIST's training images, and test images, in its format.

    Raises:
        FileNotFoundError: if Debian's dataset-fashion-mnist is not installed.
    """
    target = folder / "images"
    target.mkdir(parents=True)
    parts = itertools.product((("train", n_rows), ("t10k", TESTED)), (("images", 3), ("labels", 1)))
    for (part, n_rows), (name, rank) in parts:
        file = f"{part}-{name}-idx{rank}-ubyte"
        with gzip.open(FASHION / f"{file}.gz") as source:
            magic, _ = struct.unpack(">II", source.read(8))
            sizes = source.read(4 * (rank - 1))
            row = 1
            for (size,) in struct.iter_unpack(">I", sizes):
                row *= size
            head = struct.pack(">II", magic, n_rows) + sizes
            (target / file).write_bytes(head + source.read(n_rows * row))
    return target


def images_study(
    folder: Path, n_train: int, n_validation: int, epochs: int, accelerator: str
) -> Values:
    """Return cnn.yaml on a part of Fashion-MNIST."""
    path = subset(n_train + n_validation, folder)
    values = load_study("cnn", [f"data.path={path}"]).values()
    share = n_validation / (n_train + n_validation)
    return with_settings(
        values,
        data={"validation": share},
        trainer={"max_epochs": epochs, "accelerator": accelerator},
    )


def measure(options: Options) -> Table:
    """Let stock and ours train the same configs by turns."""
    n, epochs, rows = CONFIGS, EPOCHS, (TRAINED, VALIDATED)
    if options.quick:
        n, epochs, rows = 2, 1, (900, 100)
    if not FASHION.exists():
        return _without_data(options)
    runs: list[tuple[Ran, Ran]] = []
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        values = images_study(Path(folder), *rows, epochs, options.accelerator)
        params = draw(load_study(values), n)
        given = given_study(values, params)
        for number in range(options.take(options.rounds, ROUNDS)):
            place = Path(folder) / str(number)
            stock = run_stock(given, place / "stock", StockOptions(seed=0, given=params))
            ours = run_ours(given, place / "ours")
            check_same({"stock": stock, "ours": ours})
            runs.append((stock, ours))
            said = f"stock {stock.seconds:.0f} s, ours {ours.seconds:.0f} s"
            print(f"P3 round {number + 1}: {said}", file=sys.stderr, flush=True)
    return _table(runs, rows, epochs, options)


def _values(ran: Ran) -> list[float]:
    by_number = {line.number: line.value for line in ran.lines}
    found = [by_number[number] for number in sorted(by_number)]
    if any(value is None for value in found):
        raise RuntimeError("a trial failed: accuracies cannot be compared")
    return [value for value in found if value is not None]


def _table(
    runs: Sequence[tuple[Ran, Ran]], rows: tuple[int, int], epochs: int, options: Options
) -> Table:
    stock, ours = [one for one, _ in runs], [one for _, one in runs]
    ratios = pairwise([one.seconds for one in stock], [one.seconds for one in ours])
    lean = pairwise([one.rate for one in ours], [one.rate for one in stock])
    means = [[statistics.fmean(_values(ran)) for ran in side] for side in (stock, ours)]
    gap, error = difference(
        [value for ran in ours for value in _values(ran)],
        [value for ran in stock for value in _values(ran)],
    )
    goal = WITH_UNITS if has_matrix_units() else WITHOUT_UNITS
    median = statistics.median(ratios)
    cells = [
        (name, *(f"{statistics.median(values):.1f}" for values in sides), f"{mean:.4f}")
        for name, side, mean in zip(
            ("stock", "ours"), (stock, ours), map(statistics.fmean, means), strict=True
        )
        for sides in [([ran.window for ran in side], [ran.seconds for ran in side])]
    ]
    return Table(
        goal="P3",
        title=f"{len(_values(ours[0]))} configs of cnn.yaml on {rows[0]:,} images, {epochs} epochs",
        command=f"python -m benchmarks.speed p3{options.said}",
        columns=("", "s from ready to the end", "s of the whole command", "mean accuracy"),
        rows=tuple(cells),
        verdicts=(
            verdict(f"≥ {goal}× stock on this CPU, whole commands", spread(ratios), median >= goal),
            verdict(
                f"equal accuracy (± {POINTS} points)",
                f"{100 * gap:+.2f} ± {100 * error:.2f} points",
                abs(100 * gap) <= POINTS,
            ),
        ),
        notes=(
            f"Trial-epochs a second from the first trial on, imports and probe left out: "
            f"{spread(lean)}.",
            f"Validation: {rows[1]:,} further images; ours less stock {signed(gap, error)}. Ours "
            "has the precision and layout that its probe chooses by default; stock trains in fp32.",
        ),
    )


def _without_data(options: Options) -> Table:
    return Table(
        goal="P3",
        title="configs of cnn.yaml on Fashion-MNIST",
        command=f"python -m benchmarks.speed p3{options.said}",
        columns=("",),
        rows=(),
        verdicts=(verdict(f"≥ {WITH_UNITS}× stock", "nothing", None),),
        notes=(f"{FASHION} is not there: apt install dataset-fashion-mnist.",),
    )
