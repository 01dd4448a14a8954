"""The live view in a terminal: at most 18 lines, redrawn at most four times a second."""

import time
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hpo.best import best_of, default_of
from hpo.proposals import Proposal
from hpo.records import TrialRecord, ranked
from hpo.scheduler import Limits
from hpo.tracking.observers import StudyEnd, StudyStart
from hpo.words import (
    MARKS,
    arrow,
    counts,
    describe_config,
    duration,
    number,
    sparkline,
    trial_words,
)
from lightning_modules.result import Validation

REDRAW_S = 0.25
BAR = 24


class LiveObserver:
    """Show the study on one screen, which goes when the study ends."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._records: list[TrialRecord] = []
        self._curves: dict[int, list[Validation]] = {}
        self._proposals: dict[int, Proposal] = {}
        self._drawn = 0.0
        self._begun = time.monotonic()
        self._best_so_far: list[float] = []

    def study_started(self, start: StudyStart) -> None:
        """Open the screen, if anything is to be seen."""
        self._start = start
        self._records = list(start.past)
        if not start.is_done:
            for line in start.chosen:
                self._live.console.print(Text(line, style="dim"))
            self._live.start()
            self._draw()

    def trial_started(self, proposal: Proposal) -> None:
        """Show the trial."""
        self._proposals[proposal.number] = proposal
        self._curves[proposal.number] = []
        self._draw()

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Show the trial's curve."""
        self._curves[number].append(validation)
        self._draw()

    def batch_ended(self) -> None:
        """Keep the clock going."""
        self._draw()

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Move the trial to the leaderboard."""
        self._forget(record.number)
        self._records.append(record)
        leader = best_of(self._records, self._start.direction)
        if leader is not None and leader.value is not None:
            self._best_so_far.append(leader.value)
        self._draw(now=True)

    def trial_given_back(self, number: int) -> None:
        """Take the trial off the screen."""
        self._forget(number)

    def budget_changed(self, limits: Limits) -> None:
        """Count up to another total."""
        self._start = replace(self._start, total=limits.trials)
        self._draw()

    def warned(self, text: str) -> None:
        """Say it above the screen, where it stays."""
        self._live.console.print(Text(f"warning: {text}", style="yellow"))

    def study_ended(self, end: StudyEnd) -> None:
        """Close the screen."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, whatever happened."""
        self._live.stop()

    def _forget(self, number: int) -> None:
        self._proposals.pop(number, None)
        self._curves.pop(number, None)

    def _draw(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._drawn >= REDRAW_S:
            self._drawn = time.monotonic()
            self._live.update(self._screen(), refresh=True)

    def _screen(self) -> Group:
        lines = [self._title(), self._bar(), self._best(), *self._running(), *self._leaders()]
        lines.append(Text("Ctrl-C stops cleanly; look closer:  hpo dashboard", style="dim"))
        return Group(*(_fitted(line) for line in lines))

    def _title(self) -> Text:
        start = self._start
        search = start.spec.search
        sampler = search.sampler.model_dump()["name"]
        pruner = search.pruner.model_dump()["name"]
        dims = len(start.spec.space.parameters())
        text = Text(start.spec.name, style="bold")
        text.append(f"  {start.metric} {arrow(start.direction)}   {dims} dimensions   ", "dim")
        return text.append(f"{sampler} + {pruner}   seed {search.seed}", "dim")

    def _bar(self) -> Text:
        total, done = self._start.total, len(self._records)
        gone = time.monotonic() - self._begun
        tally = "  ".join(f"{MARKS[state]} {n}" for state, n in counts(self._records).items())
        if total is None:
            return Text(f"trial {done}   {duration(gone)} gone   {tally}")
        filled = min(round(BAR * done / total), BAR)
        new = done - len(self._start.past)
        left = f", ~{duration(gone / new * (total - done))} left" if new else ""
        bar = "#" * filled + "-" * (BAR - filled)
        return Text(f"[{bar}]  trial {done}/{total}   {duration(gone)} gone{left}   {tally}")

    def _best(self) -> Text:
        best = best_of(self._records, self._start.direction)
        if best is None:
            return Text("no trial is complete yet", style="dim")
        default = default_of(self._records)
        known = "" if default is None else f"; default was {number(default.value)}"
        line = sparkline(self._best_so_far)
        return Text(f"best so far  {line}  {number(best.value)} (trial {best.number}{known})")

    def _running(self) -> Sequence[Text]:
        lines = []
        for trial, curve in self._curves.items():
            config = self._proposals[trial].config
            text = Text(f"trial {trial}  {describe_config(config.plain())}  ", style="cyan")
            if curve:
                values = [one.objective for one in curve]
                text.append(f"epoch {curve[-1].epoch:g}/{config.most_epochs}  ")
                text.append(f"{number(values[-1])}  {sparkline(values)}")
            lines.append(text)
        return lines

    def _leaders(self) -> Sequence[Text]:
        own = [record for record in self._records if record.run and record.same_as is None]
        complete = ranked(own, self._start.direction)
        lines = [Text(" #  trial  value     parameters  what", style="dim")] if complete else []
        for rank, record in enumerate(complete[:5], start=1):
            size = f"{record.run.n_parameters:,}" if record.run else ""
            what = trial_words(record)
            value = number(record.value)
            lines.append(Text(f"{rank:2d}  {record.number:5d}  {value:<8}  {size:>10}  {what}"))
        failed = [record for record in self._records if record.state == "failed"]
        if failed:
            last = failed[-1]
            what = f"✗ trial {last.number}: {last.what}: recorded, study goes on"
            lines.append(Text(what, style="red"))
        return lines


def _fitted(line: Text) -> Text:
    line.no_wrap = True
    line.overflow = "ellipsis"
    return line
