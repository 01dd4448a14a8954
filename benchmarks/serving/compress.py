"""What each way of `hpo compress` brings and costs, family by family.

python -m benchmarks.serving.compress [--families mlp,gru] [--epochs 20] [--write]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.__main__ import PAGE, section, write
from benchmarks.speed.machine import load
from benchmarks.speed.table import Table
from hpo.compress.asking import Ask
from hpo.compress.compress import compress_model
from hpo.compress.outcome import Compressed, Form
from hpo.logs import log_to
from hpo.words import number
from lightning_modules.config import RunConfig
from lightning_modules.train import train

DIGITS = {"task": {"kind": "multiclass"}, "data": {"source": "digits"}}
SUMS = {"task": {"kind": "binary"}, "data": {"source": "sequence_sum"}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mlp": (DIGITS, {"family": "mlp"}),
    "mlp, 3 × 512": (DIGITS, {"family": "mlp", "n_layers": 3, "width": 512}),
    "resnet_mlp": (DIGITS, {"family": "resnet_mlp"}),
    "cnn": (DIGITS, {"family": "cnn"}),
    "gru": (SUMS, {"family": "gru"}),
    "transformer": (SUMS, {"family": "transformer"}),
    "transformer, 4 × 256": (SUMS, {"family": "transformer", "n_layers": 4, "width": 256}),
}
"""Task and data, and the model: families with their defaults, and two that are wide."""


def main() -> int:
    """Measure and print; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.compress")
    parser.add_argument("--families", default=None, help="names, with commas; default all")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    given = parser.parse_args()
    wanted = given.families.split(",") if given.families else None
    names = [name for name in CASES if wanted is None or name.partition(",")[0] in wanted]
    began, before = time.monotonic(), load()
    table = measure(names, given.epochs)
    text = section(table, time.monotonic() - began, before)
    print(text)
    if given.write:
        write("compress", text)
    return 0


def measure(names: Sequence[str], epochs: int) -> Table:
    """Return the table: the original of each network, and its forms."""
    rows = [row for name in names for row in rows_of(name, one(name, epochs))]
    return Table(
        goal="Compress",
        title="size, time and metric of each form of a network",
        command=f"python -m benchmarks.serving.compress --epochs {epochs}",
        columns=(
            "network",
            "form",
            "bytes",
            "gzip",
            "1 row p50 / p99 ms",
            "64 rows p50 / p99 ms",
            "metric",
            "change [95%]",
            "verdict at --max-drop 0.01",
        ),
        rows=tuple(rows),
        notes=(
            f"Each network with the defaults of its family but what its name says, {epochs} epochs "
            "on digits (1,078 training rows) or sequence_sum; the file takes raw rows, the "
            "preparation is measured with it. pruned: half of the hidden units of each layer (of "
            "the transformer inside its dense parts), 16 more epochs of training.",
            "One thread of onnxruntime on a CPU; the forms of a network took turns.",
        ),
    )


def one(name: str, epochs: int) -> Compressed:
    """Train a network and make all its forms."""
    sections, model = CASES[name]
    trainer = {"max_epochs": epochs, "accelerator": "cpu"}
    config = RunConfig.model_validate({**sections, "model": model, "trainer": trainer})
    with tempfile.TemporaryDirectory() as folder, log_to(None):
        run = Path(folder) / "run"
        train(config, run)
        ask = Ask(model=str(run), results=Path(folder), output=Path(folder) / "forms")
        return compress_model(ask, tell=lambda _: None)


def rows_of(name: str, done: Compressed) -> list[tuple[str, ...]]:
    """Return the lines of one network."""
    first, *others = done.forms
    lines = [(name, *_cells(first), f"{done.metric} {number(first.value)}", "", "")]
    for form in others:
        size = f"{form.size_bytes:,} (÷ {first.size_bytes / form.size_bytes:.1f})"
        found, said = form.change, form.words.replace("|", "/")
        change = ""
        if found is not None:
            low, high = found.ci95
            change = f"{found.difference:+.4f} [{low:+.4f}, {high:+.4f}]"
        kind, _, *times = _cells(form)
        lines.append(("", kind, size, *times, number(form.value), change, said))
    lines += [("", kind, "", "", "", "", "", "", why) for kind, why in done.not_made.items()]
    return lines


def _cells(form: Form) -> tuple[str, ...]:
    times = (f"{each.p50_ms:.3f} / {each.p99_ms:.3f}" for each in (form.one, form.many))
    return (form.name, f"{form.size_bytes:,}", f"{form.gzip_bytes:,}", *times)


if __name__ == "__main__":
    sys.exit(main())
