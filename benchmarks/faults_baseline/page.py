"""The table, and the page that holds it."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.faults_baseline.rows import Fault
from benchmarks.faults_baseline.stack import Verdict

START = "<!-- written by make faults-baseline -->"
END = "<!-- end of what make faults-baseline writes -->"
HEADINGS = {
    "usual": "plain, as usually glued",
    "tuned": "plain, with its options",
    "ours": "hpo",
}
KEPT, BROKEN, NEITHER = "kept", "**broken**", "–"
Cells = dict[str, dict[str, str]]
"""What the table says, by the row's name, then by the stack's: usual, tuned, ours."""


def cell(verdict: Verdict) -> str:
    """Return one result in Markdown."""
    word = {True: KEPT, False: BROKEN, None: NEITHER}[verdict.kept]
    return f"{word}: {verdict.fact}".replace("|", "/")


def table(faults: Sequence[Fault], cells: Mapping[str, Mapping[str, str]]) -> str:
    """Return the table in Markdown; what was not tried is a dash."""
    heads = ["#", "fault", "what must hold", *HEADINGS.values()]
    lines = [heads, ["---"] * len(heads)]
    for fault in faults:
        found = [cells.get(fault.name, {}).get(stack, NEITHER) for stack in HEADINGS]
        lines.append([fault.name, fault.what, fault.promise, *found])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read(page: Path) -> Cells:
    """Return what the page's table says, so that a part can be measured again alone.

    Raises:
        ValueError: a marker is missing, so there is no place for the table.
    """
    lines = [line.split(" | ") for line in _parts(page)[1].splitlines() if line.startswith("| F")]
    return {
        line[0].removeprefix("| "): dict(
            zip(HEADINGS, (*line[3:-1], line[-1].removesuffix(" |")), strict=True)
        )
        for line in lines
    }


def write(page: Path, faults: Sequence[Fault], cells: Cells) -> None:
    """Put the table between the two markers of the page; what was not tried anew stays.

    Raises:
        ValueError: a marker is missing, so there is no place for the table.
    """
    before, _, after = _parts(page)
    old = read(page)
    merged = {f.name: {**old.get(f.name, {}), **cells.get(f.name, {})} for f in faults}
    written = f"{START}\n\n{table(faults, merged)}\n{_summary(merged)}\n{END}"
    page.write_text(f"{before}{written}{after}", encoding="utf-8")


def _summary(cells: Cells) -> str:
    counts = []
    for stack, heading in HEADINGS.items():
        words = [row.get(stack, NEITHER).partition(":")[0] for row in cells.values()]
        n = len(words) - words.count(NEITHER)
        counts.append(f"{heading}: {words.count(KEPT)} of {n} kept")
    packages = [f"{name} {version(name)}" for name in ("optuna", "pytorch-lightning", "torch")]
    where = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{'; '.join(counts)}. Measured with {', '.join(packages)} on {where}.\n"


def _parts(page: Path) -> tuple[str, str, str]:
    """Return what stands before the markers, between them, and after."""
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    inside, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{page}: has no place for the table; put {START} and {END} into it")
    return before, inside, after
