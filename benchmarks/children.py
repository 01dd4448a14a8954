"""What a trial costs with fresh, preloaded and reused children.   python -m benchmarks.children

One small training again and again, as a study orders it, in three ways taken in turn: children
forked from a server that has imported what they need and no more; from one that has trained once
(`hpo.preloaded`); and children of the latter that take the next order (`hpo.inside`). CPU seconds
are those of the server and of all that it forked: forks, page copies and ends are in them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

import psutil

from hpo import children as module
from hpo.protocol import TrialEnd, TrialOrder
from lightning_modules.config import RunConfig

WAYS = ("imports", "preloaded", "reused")
IMPORTS = ["hpo.child", "torchmetrics.functional", "pandas", "sklearn.datasets"]
CONFIG = {
    "task": {"kind": "multiclass"},
    "data": {"source": "digits", "validation": 0.2, "test": 0.2},
    "model": {"family": "mlp", "n_layers": 2, "width": 64},
    "optimizer": {"name": "adamw"},
    "objective": {"metric": "accuracy"},
}
MEMORY_BYTES = 1e15
"""A limit on memory, however high, gives each order a child of its own."""


def measure(way: str, *, epochs: int, trials: int) -> tuple[float, float]:
    """Return CPU and wall milliseconds of a trial, the first two left out."""
    if way == "imports":
        module.PRELOADED[:] = IMPORTS
    trainer = {"max_epochs": epochs, "batch_size": 64, "accelerator": "cpu"}
    config = RunConfig.model_validate({**CONFIG, "trainer": trainer}).plain()
    children = module.Children(1)
    with tempfile.TemporaryDirectory() as folder:
        orders = [
            TrialOrder(
                number=number,
                config=config,
                folder=f"{folder}/{number}",
                plugins=[],
                cache=f"{folder}/cache",
                log=None,
                memory_bytes=None if way == "reused" else MEMORY_BYTES,
            )
            for number in range(trials + 2)
        ]
        for order in orders[:2]:
            _train(children, order)
        server = _server()
        before, begun = _used(server), time.perf_counter()
        for order in orders[2:]:
            _train(children, order)
        wall = time.perf_counter() - begun
        used = _used(server) - before
        children.close()
    return 1000 * used / trials, 1000 * wall / trials


def _train(children: module.Children, order: TrialOrder) -> None:
    """Train an order to its end."""
    children.start(order, None)
    ended: list[TrialEnd] = []
    while not ended:
        ended = children.wait(60.0)
    if ended[0].outcome != "result":
        sys.exit(ended[0].what)


def _server() -> psutil.Process:
    """Return the process that children are forked from."""
    return next(
        one for one in psutil.Process().children() if "forkserver" in "".join(one.cmdline())
    )


def _used(server: psutil.Process) -> float:
    """Return the CPU seconds of the server, of what it forked and lives, and of what has ended."""
    own = server.cpu_times()
    used = own.user + own.system + own.children_user + own.children_system
    for child in server.children():
        times = child.cpu_times()
        used += times.user + times.system
    return float(used)


def main() -> None:
    """Measure each way in turn, in processes of their own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        found = measure(asked.way, epochs=asked.epochs[0], trials=asked.trials)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    lines = ["| epochs | children | CPU ms a trial | wall ms |", "| --- | --- | --- | --- |"]
    for epochs in asked.epochs:
        rounds: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(asked.rounds):
            for way in WAYS:
                command = [sys.executable, "-m", "benchmarks.children", "--way", way]
                command += ["--epochs", str(epochs), "--trials", str(asked.trials)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rounds[way].append(tuple(json.loads(done.stdout)))
        for way, times in rounds.items():
            cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
            lines.append(f"| {epochs} | {way} | {cpu:.0f} | {wall:.0f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
