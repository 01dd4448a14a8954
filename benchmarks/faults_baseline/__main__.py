"""Run every fault against the plain stack and against ours, and write the table.

    python -m benchmarks.faults_baseline [--rows F1,F2] [--stacks usual,tuned,ours] [--page FILE]

The whole takes up to an hour on two cores. What is left out stays in the page as it was; the
small disks of rows F15 and F16 need root.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults_baseline import ours, page
from benchmarks.faults_baseline.rows import FAULTS, Fault, Plain
from benchmarks.faults_baseline.stack import ROOT, Verdict


def try_plain(plain: Plain, folder: Path, *, tuned: bool) -> Verdict:
    """Try one fault in a folder of its own; what goes wrong in the trying is no verdict."""
    folder.mkdir()
    try:
        return plain(folder / "here", tuned)
    except Exception:  # noqa: BLE001 - the other rows are to be tried all the same
        traceback.print_exc()
        return Verdict(kept=None, fact="could not be tried")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def try_row(fault: Fault, stacks: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the cells of the plain stack in one row."""
    cells: dict[str, str] = {}
    if fault.plain is None:
        return cells
    for stack in ("usual", "tuned"):
        if stack not in stacks:
            continue
        if stack == "tuned" and not fault.options and "usual" in cells:
            cells[stack] = cells["usual"]
            continue
        began = time.monotonic()
        cells[stack] = page.cell(try_plain(fault.plain, folder / stack, tuned=stack == "tuned"))
        seconds = time.monotonic() - began
        print(f"{fault.name} {stack}: {cells[stack]} ({seconds:.0f} s)", file=sys.stderr)
    return cells


def try_all(faults: Sequence[Fault], stacks: Sequence[str]) -> page.Cells:
    """Return what the table is to say of these rows and stacks."""
    found: page.Cells = {}
    for fault in faults:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            found[fault.name] = try_row(fault, stacks, Path(folder))
    if "ours" in stacks:
        for name, verdict in ours.verdicts(faults).items():
            found[name]["ours"] = page.cell(verdict)
    return found


def main() -> None:
    """Try what is asked for, print the table, and write the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", default=",".join(fault.name for fault in FAULTS))
    arguments.add_argument("--stacks", default=",".join(page.HEADINGS))
    arguments.add_argument("--page", type=Path, default=ROOT / "docs" / "reliability.md")
    given = arguments.parse_args()
    rows, stacks = given.rows.split(","), given.stacks.split(",")
    page.read(given.page)  # a page without a place for the table is found now, not at the end
    faults = [fault for fault in FAULTS if fault.name in rows]
    cells = try_all(faults, stacks)
    print(page.table(faults, cells), end="")
    page.write(given.page, FAULTS, cells)


if __name__ == "__main__":
    main()
