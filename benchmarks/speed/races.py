"""Start a rival on a study, wait for it, and return when its trials ended and what they came to."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from benchmarks.speed.processes import Rival, python, rival
from benchmarks.speed.rival_lines import Line, read_line, start_all
from benchmarks.speed.studies import Params, Values, identity, write_study
from hpo.spec import load_study

WORKERS = 2
READY_S = 240.0
"""How long two processes may take to import and to load their data."""
STUDY = "stock"
HPO = (str(Path(sys.executable).with_name("hpo")),)
LATE_S = 900.0
"""How long beyond its own limit of time a rival may go on before it is ended."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a rival did: the times are seconds since 1970."""

    began: float
    """When its command was started."""
    ready: float
    """When everything was loaded: its first trial began."""
    lines: list[Line]
    seconds: float
    """Of the whole command, its end included."""

    @property
    def window(self) -> float:
        """Seconds from ready to the end of the last trial."""
        return max(line.t for line in self.lines) - self.ready

    @property
    def rate(self) -> float:
        """Trial-epochs a second."""
        return sum(line.epochs for line in self.lines) / self.window


@dataclass(frozen=True, kw_only=True)
class StockOptions:
    """How stock runs."""

    seed: int
    trials: int | None = None
    minutes: float | None = None
    given: list[Params] | None = None
    """Trials that it is to train, to their end; None lets it search."""
    workers: int = WORKERS


def run_stock(values: Values, folder: Path, options: StockOptions) -> Ran:
    """Run two stock workers, until so many trials have ended or their time is over."""
    study_file, storage = _stock_files(values, folder, options)
    barrier = folder / "barrier"
    barrier.mkdir()
    command = [study_file, "--storage", storage, "--folder", folder / "trials"]
    command += ["--seed", options.seed]
    wanted = len(options.given) if options.given is not None else options.trials
    if wanted is not None:
        command += ["--trials", wanted]
    if options.given is not None:
        command += ["--all-to-their-end", "--ready", barrier]
    if options.minutes is not None:
        command += ["--until", time.time() + 60 * options.minutes]
    late = None if options.minutes is None else time.time() + 60 * options.minutes + LATE_S
    with contextlib.ExitStack() as stack:
        each = [
            stack.enter_context(rival(*python("stock", *command, "--worker", n)))
            for n in range(options.workers)
        ]
        ready = each[0].began
        if options.given is not None:
            ready = _start(barrier, each)
        lines = _gather(each, wanted, late)
        seconds = time.time() - each[0].began
        if not lines:
            raise RuntimeError(f"stock ended no trial:\n{each[0].said()}")
        return Ran(began=each[0].began, ready=ready, lines=lines, seconds=seconds)


def _stock_files(values: Values, folder: Path, options: StockOptions) -> tuple[Path, str]:
    """Write the study file and create the study: two workers cannot do that at once in SQLite."""
    folder.mkdir(parents=True)
    path = write_study(values, folder / "study.yaml")
    storage = f"sqlite:///{folder / 'stock.sqlite'}"
    direction = load_study(path).space
    resolved = direction.resolve(direction.defaults()[0].params)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name=STUDY, storage=storage, direction=resolved.objective.direction
    )
    for params in options.given or ():
        study.enqueue_trial(dict(params))
    optuna.logging.set_verbosity(verbosity)
    return path, storage


def test_stock(folder: Path, seed: int) -> float:
    """Return the test score of the best trial's checkpoint of a stock study that ran there."""
    storage = f"sqlite:///{folder / 'stock.sqlite'}"
    command = python("stock", folder / "study.yaml", "--storage", storage, "--test")
    with rival(*command, "--folder", folder / "trials", "--seed", seed) as one:
        said = [text for _, text in one.lines()]
        one.wait()
    return float(said[-1])


def run_floor(configs: list[Values], folder: Path) -> Ran:
    """Run two plain processes over these configs."""
    folder.mkdir(parents=True)
    path = folder / "configs.json"
    path.write_text(json.dumps(configs), encoding="utf-8")
    with contextlib.ExitStack() as stack:
        each = [
            stack.enter_context(rival(*python("floor", path, "--ready", folder)))
            for _ in range(WORKERS)
        ]
        ready = _start(folder, each)
        lines = _gather(each, None, None)
        seconds = max(one.wait() for one in each)
        return Ran(began=each[0].began, ready=ready, lines=lines, seconds=seconds)


def _start(barrier: Path, each: list[Rival]) -> float:
    """Let all begin as soon as all are ready; return the time of it.

    Raises:
        RuntimeError: if one has ended, or they are not ready in time.
    """

    def alive() -> bool:
        for one in each:
            if one.ended():
                one.wait()
                return False
        return True

    return start_all(barrier, len(each), bound_s=READY_S, alive=alive)


def _gather(each: list[Rival], wanted: int | None, until: float | None) -> list[Line]:
    """Return the lines of all, in the order of time, until so many trials have ended."""
    lines: list[Line] = []
    for text in _merged(each, until or float("inf")):
        line = read_line(text)
        if line is not None:
            lines.append(line)
        ended = {one.number for one in lines if wanted is not None and one.number < wanted}
        if wanted is not None and len(ended) == wanted:
            break
    kept = [line for line in lines if wanted is None or line.number < wanted]
    return sorted(kept, key=lambda line: line.t)


def _merged(each: list[Rival], until: float) -> Iterator[str]:
    """Yield lines of several processes as they come, to that time.

    Raises:
        RuntimeError: if one of them failed.
    """
    open_ones = list(each)
    while open_ones and time.time() < until:
        for one in list(open_ones):
            yield from (text for _, text in one.lines(until=time.time() + 0.05))
            if one.ended():
                yield from (text for _, text in one.lines())
                one.wait()
                open_ones.remove(one)


Seen = Callable[[Line], bool]
"""Is told of every trial that ended; answers whether that was enough."""


def run_ours(
    values: Values,
    folder: Path,
    *arguments: object,
    enough: Seen | None = None,
    bound_s: float = float("inf"),
) -> Ran:
    """Run `hpo run` on a study, until its end, until a trial is enough, or so long.

    Args:
        values: the study.
        folder: where to; its results are kept there.
        arguments: further ones of `hpo run`.
        enough: ends the run early.
        bound_s: ends the run early, after so many seconds.
    """
    folder.mkdir(parents=True)
    path = write_study({**values, "name": "ours"}, folder / "study.yaml")
    command = (*HPO, "run", path, "--results", folder / "results", "--events", "-", "--quiet")
    with rival(*command, *arguments) as one:
        lines, ready, cut = _follow(one, enough, one.began + bound_s)
        if not cut:
            one.wait()
        seconds = time.time() - one.began
    if not lines and not cut:
        raise RuntimeError("hpo run ended no trial")
    return Ran(began=one.began, ready=ready, lines=_identified(lines, folder), seconds=seconds)


def _follow(one: Rival, enough: Seen | None, until: float) -> tuple[list[Line], float, bool]:
    """Return the trials that ended, when the first began, and whether it was cut short."""
    lines: list[Line] = []
    epochs: dict[int, float] = {}
    ready = one.began
    for came, text in one.lines(until=until):
        event = json.loads(text)
        if event["event"] == "trial_started" and not epochs and ready == one.began:
            ready = came
        if event["event"] == "epoch":
            epochs[event["trial"]] = event["epoch"]
        if event["event"] != "trial_finished":
            continue
        number, value, state = event["trial"], event["value"], event["state"]
        line = Line(
            t=came,
            number=number,
            value=value,
            epochs=round(epochs.get(number, 0)),
            state=state,
            same="",
        )
        lines.append(line)
        if enough is not None and enough(line):
            return lines, ready, True
    return lines, ready, not one.ended(soon_s=10.0)


def _identified(lines: list[Line], folder: Path) -> list[Line]:
    """Return the lines with the identity of the configs on record."""
    found = []
    for line in lines:
        path = folder / "results" / "ours" / "trials" / f"{line.number:04d}" / "config.json"
        config: Any = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        found.append(replace(line, same=identity(config) if config else ""))
    return found
