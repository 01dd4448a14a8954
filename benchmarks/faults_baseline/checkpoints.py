"""Rows F16 to F18, F27 and F30: checkpoints that find no room, are cut, damaged, used, or kept."""

import json
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.faults_baseline.deaths import running
from benchmarks.faults_baseline.stack import (
    Stack,
    Verdict,
    end_of,
    environment,
    fill,
    plural,
    program,
    small_disk,
)

OTHER_DISK = Path("/dev/shm")
FULL_S = 3.0


def trained(what: str, folder: Path, *, temporary: Path) -> Any:
    """Run the training program and return what it found."""
    for path in (folder, temporary):
        path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        program("training", what, str(folder)),
        env={**environment(), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def half_written(folder: Path) -> int:
    """Count the checkpoints of which a part is missing."""
    return sum(not zipfile.is_zipfile(file) for file in folder.rglob("*.ckpt"))


def f16_full(folder: Path, tuned: bool) -> Verdict:
    """The checkpoints' disk is full from the second training on, for three seconds."""
    with small_disk(folder / "small", "2m") as mounted:
        if not mounted:
            return Verdict(kept=None, fact="not run: mounting a small disk needs root")
        stack = Stack(folder / "stack", tuned=tuned)
        stack.checkpoints = folder / "small" / "checkpoints"
        stack.hold()
        process = stack.start(trials=4, fault="wait")
        stack.wait_ready(process)
        filler = fill(folder / "small")
        stack.release()
        try:
            time.sleep(FULL_S)
        finally:
            filler.unlink()
        ended = end_of(process)
        half = half_written(stack.checkpoints)
        left, failed = len(stack.having("RUNNING")), len(stack.having("FAIL"))
    fact = f"{plural(half, 'half checkpoint')} under the final name, " if half else ""
    fact += f"{plural(failed, 'trial')} FAIL" + (", the search ended" if ended.code else "")
    fact += f", {running(left)}" if left else ""
    return Verdict(kept=half == 0 and failed == 0 and left == 0, fact=fact)


def f17_killed(folder: Path, tuned: bool) -> Verdict:
    """A training is killed at its file operations; /tmp is the same disk, or another one."""
    same = trained("saves", folder / "same", temporary=folder / "tmp")
    with tempfile.TemporaryDirectory(dir=OTHER_DISK) as other:
        across = trained("saves", Path(other) / "checkpoints", temporary=folder / "tmp")
    killed = same["killed"] + across["killed"]
    half = same["half"] + across["half"]
    fact = f"{half or 'none'} of {killed} kills left half a checkpoint under its final name"
    if half and not same["half"]:
        fact += ", all where /tmp is another disk"
    return Verdict(kept=half == 0, fact=fact)


def f18_damaged(folder: Path, tuned: bool) -> Verdict:
    """A training goes on from a checkpoint that is truncated, empty, or has one bit flipped."""
    believed = trained("damages", folder, temporary=folder / "tmp")["believed"]
    fact = f"{len(believed)} of 3 believed" + (f" ({', '.join(believed)})" if believed else "")
    return Verdict(kept=not believed, fact=fact)


def f27_resumed(folder: Path, tuned: bool) -> Verdict:
    """A training with dropout is ended after an epoch, and in one, and goes on."""
    same = trained("resumes", folder, temporary=folder / "tmp")["same"]
    return Verdict(kept=len(same) == 2, fact=f"{len(same)} of 2 came to the same weights")


def f30_kept(folder: Path, tuned: bool) -> Verdict:
    """Eight trials with a pruner: whose weights are left?"""
    stack = Stack(folder, tuned=tuned)
    stack.run(trials=8, prune=True)
    ended = stack.finished()
    best = max(row.value or 0.0 for row in ended)
    poor = [row for row in ended if row.state == "PRUNED" or (row.value or 0.0) < best]
    left = sum(any((stack.checkpoints / str(row.number)).glob("*.ckpt")) for row in poor)
    fact = f"{left} of {len(poor)} worse trials keep their weights"
    return Verdict(kept=left == 0, fact=fact)
