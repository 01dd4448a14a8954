"""The lines of JSON that rivals write, one per finished trial, and the barrier before the first."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

PAUSE_S = 0.003


@dataclass(frozen=True, kw_only=True)
class Line:
    """One finished trial: when (seconds since 1970), which, what it came to."""

    t: float
    number: int
    value: float | None
    epochs: int
    state: str
    same: str
    """`studies.identity` of its config."""


def tell(line: Line) -> None:
    """Write a line, at once."""
    sys.stdout.write(json.dumps(asdict(line)) + "\n")
    sys.stdout.flush()


def read_line(text: str) -> Line | None:
    """Return the line of a text; None if it is something else that was printed."""
    try:
        return Line(**json.loads(text))
    except (ValueError, TypeError):
        return None


def wait_for_start(folder: Path | None) -> None:
    """Say that everything is loaded, and wait until all others are ready too."""
    if folder is None:
        return
    parent = os.getppid()
    (folder / f"ready-{os.getpid()}").touch()
    while not (folder / "go").exists():
        if os.getppid() != parent:
            raise SystemExit("who started this process is gone")
        time.sleep(PAUSE_S)


def start_all(folder: Path, count: int, *, bound_s: float, alive: Callable[[], bool]) -> float:
    """Let so many processes begin as soon as all are ready; return the time of it.

    Raises:
        RuntimeError: if they are not ready in time, or one has ended.
    """
    until = time.time() + bound_s
    while len(list(folder.glob("ready-*"))) < count:
        if time.time() > until or not alive():
            raise RuntimeError("a rival did not get ready")
        time.sleep(PAUSE_S)
    began = time.time()
    (folder / "go").touch()
    return began


def best_so_far(lines: Iterable[Line], *, maximize: bool) -> list[tuple[float, float]]:
    """Return when the best complete value rose, and to what.

    >>> one = Line(t=1.0, number=0, value=0.5, epochs=2, state="complete", same="")
    >>> best_so_far([one, one], maximize=True)
    [(1.0, 0.5)]
    """
    found: list[tuple[float, float]] = []
    for line in sorted(lines, key=lambda line: line.t):
        if line.state != "complete" or line.value is None:
            continue
        better = not found or (line.value > found[-1][1]) == maximize
        if better and (not found or line.value != found[-1][1]):
            found.append((line.t, line.value))
    return found
