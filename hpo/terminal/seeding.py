"""The progress of `hpo evaluate STUDY --seeds N`, on standard error."""

import shlex
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from rich.live import Live
from rich.text import Text

from hpo.layout import StudyFolder
from hpo.records import most_epochs
from hpo.reseed.evaluation import Ask, evaluate_seeds
from hpo.reseed.planning import Outcome, Plan, Run
from hpo.spec import load_study
from hpo.terminal.answer import answer, answer_json, error_console, marks, say, wants_screen
from hpo.terminal.run import default_workers
from hpo.terminal.seeded import next_lines, plain_answer, seeded_lines
from hpo.words import duration, number
from lightning_modules.result import Validation

HEARTBEAT_S = 60.0
REFRESH_S = 0.25


class SeedLines:
    """Write a line for every run that ended, and one a minute where none did."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()
        self._running: dict[tuple[int, int], tuple[Run, float, Validation | None]] = {}
        self._ended, self._waiting = 0, 0
        self._marks = marks()  # a live view stands in front of standard error

    def planned(self, plan: Plan, waiting: Sequence[Run]) -> None:
        """Say what will be trained."""
        self._waiting = len(waiting)
        names = [f"trial {one.number}" for one in plan.candidates if not one.is_default]
        names += ["the default" for one in plan.candidates if one.is_default]
        kept = len(plan.runs) - len(waiting)
        text = f"{', '.join(names)} × {len(plan.seeds)} seeds: {len(waiting)} runs"
        self.write(text + (f", {kept} are there already" if kept else ""))

    def run_started(self, run: Run) -> None:
        """Take note of a run."""
        self._running[run.trial, run.seed] = (run, time.monotonic(), None)

    def validated(self, run: Run, validation: Validation) -> None:
        """Take note of a validation."""
        _, began, _ = self._running[run.trial, run.seed]
        self._running[run.trial, run.seed] = (run, began, validation)

    def run_ended(self, run: Run, outcome: Outcome) -> None:
        """Say how a run ended."""
        _, began, _ = self._running.pop((run.trial, run.seed))
        self._ended += 1
        mark = self._marks["failed" if outcome.run is None else "complete"]
        value = "–" if outcome.run is None else number(outcome.run.value)
        seconds = duration(time.monotonic() - began)
        text = f"  {self._ended:>3}/{self._waiting}  {run.name:<28} {value:>9}  {mark} {seconds:>6}"
        self.write(text + (f"  {outcome.failed}" if outcome.failed else ""))

    def tick(self) -> None:
        """Say every minute that it goes on."""
        if time.monotonic() - self._said > HEARTBEAT_S:
            self.write(self.headline())

    def write(self, line: str) -> None:
        """Write a line above everything else."""
        self._said = time.monotonic()
        say(line)

    def headline(self) -> str:
        """Return how far it is."""
        gone = time.monotonic() - self._began
        text = f"{self._ended}/{self._waiting} runs, {duration(gone)} gone"
        if self._ended:
            text += f", ~{duration(gone / self._ended * (self._waiting - self._ended))} left"
        return text

    def running_lines(self) -> list[str]:
        """Return a line for every run that is being trained."""
        lines = []
        for run, began, last in self._running.values():
            text = f"  {run.name:<28} {duration(time.monotonic() - began):>6}"
            if last is not None:
                epochs = most_epochs(run.recorded)
                of = "" if epochs is None else f"/{epochs}"
                text += f"  epoch {last.epoch:g}{of}  val {number(last.objective)}"
            lines.append(text)
        return lines


class SeedLive(SeedLines):
    """The same in a terminal, with the runs that are being trained below."""

    def __init__(self) -> None:
        super().__init__()
        self._live = Live(console=error_console(), auto_refresh=False, transient=True)
        self._drawn = 0.0
        self._live.start()

    def write(self, line: str) -> None:
        """Write a line above the runs."""
        self._live.console.print(Text(line), soft_wrap=True)

    def tick(self) -> None:
        """Draw the runs again."""
        if time.monotonic() - self._drawn < REFRESH_S:
            return
        self._drawn = time.monotonic()
        lines = [self.headline(), *self.running_lines()[:12], "Ctrl-C stops cleanly"]
        self._live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


@dataclass(frozen=True, kw_only=True)
class Call:
    """How the command was called."""

    workers: int | None
    """None takes as many as `hpo run` does."""
    overrides: Sequence[str]
    place: str
    """``--results`` for the next commands, a blank before it; empty where it is the default."""
    plugins: str
    as_json: bool


def evaluate_in_terminal(folder: StudyFolder, ask: Ask, call: Call) -> int:
    """Evaluate with fresh seeds, show it, and print what was found; return the exit code."""
    workers = call.workers
    if workers is None:
        workers = default_workers(load_study(folder.study_file))
    with ExitStack() as closing:
        view = SeedLive() if wants_screen(plain=False) else SeedLines()
        if isinstance(view, SeedLive):
            closing.callback(view.close)
        done = evaluate_seeds(folder, ask, workers=workers, overrides=call.overrides, watcher=view)
    if done.record is None:
        command = " ".join(["hpo", *map(shlex.quote, sys.argv[1:])])
        say(f"interrupted: {done.ended} of {done.total} runs are kept; go on with:  {command}")
        code = 128 + (done.signal or signal.SIGINT)
        if call.as_json:
            answer_json("evaluate", {"ended": done.ended, "total": done.total}, exit_code=code)
        return code
    if call.as_json:
        answer_json("evaluate", plain_answer(done, done.record))
        return 0
    answer("\n".join(seeded_lines(done, done.record)))
    for line in next_lines(done.record, call.place, call.plugins):
        say(line)
    return 0
