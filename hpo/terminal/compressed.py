"""What `hpo compress` says: forms beside the original, and a verdict for each; no torch."""

from collections.abc import Sequence

from rich.cells import cell_len

from hpo.compress.outcome import Compressed, Form
from hpo.words import arrow, number

HEADINGS = (
    "form",
    "bytes",
    "gzip",
    "1 row p50 ms",
    "p99",
    "64 rows p50 ms",
    "p99",
    "",
    "change [95%]",
    "output off by",
)


def compressed_lines(done: Compressed) -> list[str]:
    """Return the table, and below it what becomes of each form."""
    calls = done.forms[0].one.calls
    headings = [done.metric if not name else name for name in HEADINGS]
    first = f"{done.model}: {done.metric} {arrow(done.direction)} on {done.n_rows:,} validation "
    first += f"rows; {calls} calls in turn, one thread"
    lines = [first, "", *_aligned([headings, *(_row(form) for form in done.forms)])]
    width = max(len(name) for name in [*(f.name for f in done.forms), *done.not_made])
    lines.append("")
    for form in done.forms[1:]:
        words = form.words
        if form.file is not None:
            words = words.replace("kept", f"kept as {form.file}", 1)
        lines.append(f"{form.name:<{width}}  {words}")
    lines += [f"{name:<{width}}  not made: {why}" for name, why in done.not_made.items()]
    return lines


def _row(form: Form) -> list[str]:
    cells = [form.name, f"{form.size_bytes:,}", f"{form.gzip_bytes:,}"]
    for latency in (form.one, form.many):
        cells += [f"{latency.p50_ms:.3f}", f"{latency.p99_ms:.3f}"]
    cells.append(number(form.value))
    found = form.change
    if found is None:
        return [*cells, "", ""]
    low, high = map(_signed, found.ci95)
    return [*cells, f"{_signed(found.difference)} [{low}, {high}]", f"{found.largest:.2g}"]


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
