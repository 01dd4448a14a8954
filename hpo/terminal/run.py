"""`hpo run` in a terminal: which view, what is said before and after."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hpo import devices
from hpo.best import basis, default_of
from hpo.errors import UsageError
from hpo.profile import profile_of, write_profile
from hpo.records import most_epochs, ranked
from hpo.scheduler import MOST_REPEATS
from hpo.spec import StudySpec
from hpo.steering.requests import run_options
from hpo.study import StudyOutcome, run_study
from hpo.terminal.answer import answer, error_console, marks, say, wants_screen
from hpo.terminal.lines import LinesObserver
from hpo.terminal.live import LiveObserver
from hpo.terminal.profiled import profile_lines
from hpo.tracking.events import EventsObserver
from hpo.tracking.observers import Observer, StudyEnd
from hpo.words import counts, duration, number
from lightning_modules.phases import Stopwatch, stopwatch


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the next commands need as well, ready to be typed: a blank before each, or nothing."""

    place: str = ""
    """``--results``, where it is not the default."""
    plugins: str = ""
    """``--plugin``, once for each."""


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """How a study is shown."""

    plain: bool
    quiet: bool
    answers: bool
    """Whether the path of the best config is printed: nothing else is on standard output."""
    events: str | None
    command: str
    """What was typed; typed again, it resumes."""
    began: float
    """When it was typed, nearly, by the machine's monotonic clock."""
    options: Options
    profile: bool = False
    """Whether it is counted, written and shown where the time went."""


def run_in_terminal(
    spec: StudySpec,
    results: Path,
    terminal: Terminal,
    *,
    storage: str | None,
    workers: int | None,
    allow_change: bool,
    loggers: Sequence[str] = (),
) -> StudyOutcome:
    """Run a study, show it, and print the path of its best config.

    Raises:
        UsageError: if the events cannot be written where they should go.
    """
    n_workers = default_workers(spec) if workers is None else workers
    with ExitStack() as closing:
        watch = closing.enter_context(stopwatch(since=terminal.began)) if terminal.profile else None
        observers = list(_views(terminal, closing))
        if terminal.events is not None:
            observers.append(EventsObserver(_stream(terminal.events, closing)))
        outcome = run_study(
            spec,
            results,
            storage=storage,
            workers=n_workers,
            observers=observers,
            loggers=loggers,
            allow_change=allow_change,
            began=terminal.began,
            share_cores=workers is None,
        )
    profile = _profiled(outcome, watch, n_workers) if watch is not None else []
    if not terminal.quiet:
        for line in [*profile, *summary(outcome, spec)]:
            say(line)
        for line in chosen_otherwise(outcome):
            say(line)
    if outcome.best is not None and terminal.answers:
        answer(str(outcome.folder.best_config))
    if not terminal.quiet:
        for line in hints(outcome, spec, terminal.command, terminal.options):
            say(line)
    return outcome


def _profiled(outcome: StudyOutcome, watch: Stopwatch, workers: int) -> list[str]:
    """Write where the time of a call went, and return it in lines."""
    if not outcome.end.new:
        return ["--profile: no trial has ended, so there is nothing to profile"]
    profile = profile_of(outcome.folder.name, watch, trials=outcome.end.new, workers=workers)
    write_profile(outcome.folder, profile)
    return profile_lines(profile)


def default_workers(spec: StudySpec) -> int:
    """Return how many trials this machine can train at once."""
    return devices.default_workers([config.trainer for config in spec.space.corners()])


def summary(outcome: StudyOutcome, spec: StudySpec) -> list[str]:
    """Return what the study came to, in lines."""
    end = outcome.end
    if end.why == "exhausted":
        what = f"the last {MOST_REPEATS} proposals had all been tried before"
        return [f"study {spec.name}: {what}; nothing new to try", *_best_lines(end)]
    if end.new == 0 and end.why == "budget":
        done = f"study {spec.name}: its budget of {_budget(spec)} is used; nothing to do"
        return [done, *_best_lines(end)]
    tally = counts(end.records)
    text = f"{end.new} trial{'s' * (end.new != 1)} in {duration(end.seconds)}"
    if end.new < len(end.records):
        text += f", {len(end.records)} in all"
    text += f": {tally['complete']} complete, {tally['pruned']} pruned"
    saved = _epochs_saved(end)
    text += f" ({saved:.0%} of epochs saved)" if saved else ""
    text += f", {tally['failed']} failed"
    infeasible = sum(record.reason == "infeasible" for record in end.records)
    text += f" ({infeasible} infeasible)" if infeasible else ""
    repeated = sum(record.same_as is not None for record in end.records)
    text += f"; {repeated} took the outcome of an equal config" if repeated else ""
    return [text, *_best_lines(end), *audit_lines(end)]


def chosen_otherwise(outcome: StudyOutcome) -> list[str]:
    """Return why the best config is another trial's than the best of the search, if it is."""
    best, first = outcome.best, outcome.end.best
    if best is None or first is None or best.study["trial"] == first.number:
        return []
    why = best.study.get("chosen_because", "fresh seeds chose it")
    return [f"best_config.json is trial {best.study['trial']}: {why}"]


def audit_lines(end: StudyEnd) -> list[str]:
    """Return what the pruner would have thrown away, as the audit shows it; nothing without one."""
    audited = [record for record in end.records if record.audit is not None and record.has_rank]
    if not audited:
        return []
    complete = [record for record in end.records if record.has_rank]
    order = [record.number for record in ranked(complete, end.direction)]
    first = min(audited, key=lambda record: order.index(record.number))
    rank = order.index(first.number) + 1
    n_audited = f"{len(audited)} trial" + ("s" if len(audited) > 1 else "")
    text = f"audit: {n_audited} ran on that the pruner would have stopped"
    text += f"; the best of them is trial {first.number}, {number(first.value)}: number {rank}"
    return [text]


def hints(outcome: StudyOutcome, spec: StudySpec, command: str, options: Options) -> list[str]:
    """Return the next commands, with the options that this one was called with."""
    again = command + run_options(outcome.budget_set)
    if outcome.signal is not None:
        return [f"interrupted; go on with:  {again}"]
    if outcome.end.why == "stopped":
        return [f"stopped by hpo stop; go on with:  {again}"]
    best = outcome.best
    if best is None:
        return []
    place = options.place
    commands = {
        f"hpo evaluate {spec.name} --seeds 5{place}{options.plugins}": "is it luck?",
        f"hpo best {spec.name}{place}": "look at the config",
        f"hpo dashboard{place}": "look at everything",
    }
    width = max(map(len, commands)) + 4
    lines = [f"      {command:<{width}} {why}" for command, why in commands.items()]
    return ["next: " + lines[0].lstrip(), *lines[1:]]


def _views(terminal: Terminal, closing: ExitStack) -> Sequence[Observer]:
    if terminal.quiet:
        return []
    if wants_screen(plain=terminal.plain):
        live = LiveObserver(error_console())
        closing.callback(live.close)
        return [live]
    return [LinesObserver(say, marks())]


def _stream(place: str, closing: ExitStack) -> IO[str]:
    if place == "-":
        return sys.stdout
    try:
        return closing.enter_context(Path(place).open("a", encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            "--events", f"{place}: {os.strerror(error.errno or 0)}", "a file"
        ) from None


def _budget(spec: StudySpec) -> str:
    budget = spec.budget
    limits = [
        f"{budget.trials} trials" if budget.trials is not None else "",
        f"{budget.epochs} epochs" if budget.epochs is not None else "",
        f"{budget.time}" if budget.time is not None else "",
    ]
    return " or ".join(limit for limit in limits if limit)


def _best_lines(end: StudyEnd) -> list[str]:
    best = end.best
    if best is None:
        return ["no trial is complete yet"]
    default = default_of(end.records)
    known = f"; default config {number(default.value)}" if default is not None else ""
    return [f"best: trial {best.number}   {number(best.value)} ({basis(best.run)}{known})"]


def _epochs_saved(end: StudyEnd) -> float:
    planned = spent = 0.0
    for record in end.records:
        if record.run is not None and record.same_as is None:
            planned += most_epochs(record.config) or 0
            spent += record.run.epochs_run
    return 1 - spent / planned if planned else 0.0
