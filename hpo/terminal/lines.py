"""The terminal without a screen: one line per finished trial, for pipes, logs and CI."""

import time
from collections.abc import Callable

from hpo.proposals import Proposal
from hpo.records import TrialRecord
from hpo.scheduler import Limits
from hpo.tracking.observers import StudyEnd, StudyStart
from hpo.words import MARKS, duration, limits_words, number, trial_words
from lightning_modules.result import Validation

HEARTBEAT_S = 60.0


class LinesObserver:
    """Print one line per finished trial, and a sign of life each minute.

    Args:
        say: prints one line on standard error.
        marks: the signs of the states.
    """

    def __init__(self, say: Callable[[str], None], marks: dict[str, str] | None = None) -> None:
        self._say = say
        self._marks = marks or MARKS
        self._spoke = time.monotonic()
        self._running: dict[int, float] = {}

    def study_started(self, start: StudyStart) -> None:
        """Say what is being run, if anything is."""
        if not start.is_done:
            self._print(headline(start))
            for line in start.chosen:
                self._print(f"  {line}")

    def trial_started(self, proposal: Proposal) -> None:
        """Remember it, for the sign of life."""
        self._running[proposal.number] = 0.0

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Remember how far the trial is."""
        self._running[number] = validation.epoch

    def batch_ended(self) -> None:
        """Give a sign of life if nothing was said for a minute."""
        if time.monotonic() - self._spoke >= HEARTBEAT_S:
            running = ", ".join(f"trial {n} epoch {e:g}" for n, e in self._running.items())
            self._print(f"  … {running}")

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Print the trial's line."""
        self._running.pop(record.number, None)
        self._print(trial_line(record, best=best, marks=self._marks))

    def trial_given_back(self, number: int) -> None:
        """Say that the trial waits."""
        self._running.pop(number, None)
        self._print(f"  trial {number:3d}  given back: it will be trained when the study goes on")

    def budget_changed(self, limits: Limits) -> None:
        """Say what the budget is now."""
        self._print(f"  budget: {limits_words(limits)} now")

    def warned(self, text: str) -> None:
        """Say it."""
        self._print(f"  warning: {text}")

    def study_ended(self, end: StudyEnd) -> None:
        """Nothing: the summary is the command's own."""

    def _print(self, line: str) -> None:
        self._spoke = time.monotonic()
        self._say(line)


def headline(start: StudyStart) -> str:
    """Return the first line of a study."""
    spec = start.spec
    models = {p.config["model"]["family"] for p in start.past}
    for default in spec.space.defaults():
        models.add(spec.space.resolve(default.params).family)
    total = f"{start.total} trials" if start.total is not None else "no limit of trials"
    if spec.budget.time is not None:
        total += f", at most {spec.budget.time}"
    source = spec.space.resolve(spec.space.defaults()[0].params).source
    text = f"study {spec.name}: {total}, {' and '.join(sorted(models))} on {source}"
    text += f", seed {spec.search.seed} → {start.folder.path}"
    return text + (f" ({len(start.past)} done before)" if start.past else "")


def trial_line(record: TrialRecord, *, best: bool, marks: dict[str, str]) -> str:
    """Return the one line of a trial that ended."""
    text = f"  trial {record.number:3d}  {number(record.value):>8}  {marks[record.state]} "
    text += f"{duration(record.seconds):>6}  {trial_words(record)}"
    return text + ("   ← best" if best else "")
