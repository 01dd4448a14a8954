"""Measure goals of speed side by side and print one table each.

python -m benchmarks.speed [p1 p1b p3 p4 p5 p7 p8 p9] [--write] [--quick]
"""

import argparse
import importlib
import re
import sys
import time
import traceback
from pathlib import Path

from benchmarks.speed.machine import load, machine_line
from benchmarks.speed.options import Options
from benchmarks.speed.processes import ending_with_signals
from benchmarks.speed.table import Table

GOALS = {
    "p1": "headline",
    "p1b": "lean",
    "p3": "images",
    "p4": "fixed",
    "p5": "ask",
    "p7": "quality",
    "p8": "verbs",
    "p9": "memory",
    "p10": "sharing",
}
"""The program of each goal, a module of this package with ``measure(options) -> Table``."""
ON_GPU = ("p1", "p1b", "p3", "p10")
PAGE = Path(__file__).parent.parent / "README.md"
NO_GPU = 5


def marked(page: str, goal: str, text: str) -> str:
    """Return a page with a goal's text between its marks, all else as it was.

    >>> marked("a\\n<!-- p1 -->\\nold\\n<!-- /p1 -->\\nb", "p1", "new\\n")
    'a\\n<!-- p1 -->\\nnew\\n<!-- /p1 -->\\nb'

    Raises:
        ValueError: if the page has no place for it.
    """
    first, last = f"<!-- {goal} -->\n", f"<!-- /{goal} -->"
    pattern = re.compile(f"{re.escape(first)}.*?{re.escape(last)}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no marks of {goal}: {first.strip()} and {last}")
    return pattern.sub(lambda _: f"{first}{text}{last}", page)


def section(table: Table, seconds: float, before: float) -> str:
    """Return a table, where and how long it was measured, and the load that there was before."""
    took = f"load before it {before:.1f}; it took {seconds / 60:.0f} min"
    return f"{table.markdown()}\n{machine_line()}; {took}.\n"


def write(goal: str, text: str, page: Path = PAGE) -> None:
    """Put a goal's section into the page."""
    page.write_text(marked(page.read_text(encoding="utf-8"), goal, text), encoding="utf-8")


def measure(goal: str, options: Options, *, keep: bool) -> bool:
    """Measure one goal, print it, keep it if asked; return whether that worked."""
    began, before = time.monotonic(), load()
    try:
        program = importlib.import_module(f"benchmarks.speed.{GOALS[goal]}")
        table: Table = program.measure(options)
    except Exception:  # noqa: BLE001 - the other goals are to be measured all the same
        traceback.print_exc()
        print(f"{goal}: could not be measured", file=sys.stderr, flush=True)
        return False
    text = section(table, time.monotonic() - began, before)
    print(text, flush=True)
    if keep:
        write(f"gpu-{goal}" if options.gpu else goal, text)
    return True


def parsed(words: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("goals", nargs="*", metavar="GOAL", help=f"of {', '.join(GOALS)}")
    parser.add_argument("--rounds", type=int, help="how often rivals take turns")
    parser.add_argument("--seeds", type=int, help="of the search, for p1")
    parser.add_argument("--minutes", type=float, help="of wall time for each program, for p7")
    parser.add_argument("--gpu", action="store_true", help="on the GPU, with p10")
    parser.add_argument("--quick", action="store_true", help="only show that the programs run")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    given = parser.parse_args(words)
    wrong = [goal for goal in given.goals if goal not in GOALS]
    if wrong:
        parser.error(f"no such goal: {', '.join(wrong)}; there are {', '.join(GOALS)}")
    if given.quick and given.write:
        parser.error("--quick shows that the programs run; its figures are not written")
    if "p10" in given.goals and not given.gpu:
        parser.error("p10 needs --gpu")
    off = [goal for goal in given.goals if given.gpu and goal not in ON_GPU]
    if off:
        parser.error(f"--gpu changes nothing for {', '.join(off)}; it is for {', '.join(ON_GPU)}")
    return given


def main() -> int:
    """Measure what is asked for; return 1 if something could not be measured."""
    given = parsed()
    options = Options(
        rounds=given.rounds,
        seeds=given.seeds,
        minutes=given.minutes,
        quick=given.quick,
        gpu=given.gpu,
    )
    if given.gpu:
        from benchmarks.speed.sharing import has_gpu

        if not has_gpu():
            print("there is no GPU here that torch can use; nothing was measured", file=sys.stderr)
            return NO_GPU
    goals = given.goals or (ON_GPU if given.gpu else [goal for goal in GOALS if goal != "p10"])
    with ending_with_signals():
        return 0 if all([measure(goal, options, keep=given.write) for goal in goals]) else 1


if __name__ == "__main__":
    sys.exit(main())
