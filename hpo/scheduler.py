"""Scheduler: what happens next in a study. Events in, commands out; no files, no clock."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from hpo.search import BudgetConfig
from lightning_modules.result import Command

FIRST_FAILURES = 5
"""A study whose trials have all failed the same way stops after this many."""
MOST_REPEATS = 50
"""A study without a limit of trials stops after so many in a row that were trained before."""
MOST_FAILURES = 50
"""A study without a success stops after this many if nothing else does: failures use no epochs."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The budget as totals over all calls; None is no limit."""

    trials: int | None = None
    epochs: float | None = None
    time_s: float | None = None

    @classmethod
    def of(cls, budget: BudgetConfig, most_trials: int | None) -> "Limits":
        """Return the limits of a budget; ``most_trials`` is where a grid ends."""
        totals = [total for total in (budget.trials, most_trials) if total is not None]
        return cls(
            trials=min(totals) if totals else None,
            epochs=None if budget.epochs is None else float(budget.epochs),
            time_s=budget.time_s,
        )


@dataclass(frozen=True)
class Start:
    """Start a trial: a new one, or the one with that number, which was given back."""

    number: int | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing to start: wait for what is running."""


@dataclass(frozen=True)
class Finish:
    """The study ends here."""

    why: "Why"


Why = Literal["budget", "exhausted", "interrupted", "stopped", "disk", "failing"]
"""Used up; nothing new to try; Ctrl-C; asked for by `hpo stop`; no space left; all failed."""
Next = Start | Wait | Finish


@dataclass(kw_only=True)
class Scheduler:
    """The state of a study's schedule.

    ``time_s`` in the calls is the wall-clock time that the study has used over all calls.
    """

    limits: Limits
    capacity: int = 1
    """How many trials run at once."""
    window: int | None = None
    """A trial starts only when all trials so many numbers before it have ended."""
    waiting: deque[int] = field(default_factory=deque)
    """Trials that were given back, to be started again."""
    running: set[int] = field(default_factory=set)
    ended: int = 0
    epochs: float = 0.0
    failures: list[str] = field(default_factory=list)
    """The reasons of all trials that failed."""
    any_success: bool = False
    repeats: int = 0
    """How many of the last trials in a row had a config that was trained before."""
    halted: Why | None = None
    """Nothing more is started, and what runs is given back, for this reason."""

    def next(self, *, time_s: float) -> Next:
        """Return what to do now."""
        if self._failing() and not self.running:
            return Finish("failing")
        if self.halted is not None:
            return Wait() if self.running else Finish(self.halted)
        if self.limits.trials is None and self.repeats >= MOST_REPEATS:
            return Wait() if self.running else Finish("exhausted")
        if self._spent(time_s) or self._failing():
            return Wait() if self.running else Finish("budget")
        if len(self.running) >= self.capacity:
            return Wait()
        trials = self.limits.trials
        if trials is not None and self.ended + len(self.running) >= trials:
            return Wait()
        if self.waiting:
            return Start(self.waiting.popleft())
        if self.window is not None and self.running:
            number = self.ended + len(self.running)
            if number - min(self.running) >= self.window:
                return Wait()
        return Start()

    def started(self, number: int) -> None:
        """Take note that a trial runs."""
        self.running.add(number)

    def validated(self, *, prune: bool, time_s: float) -> Command:
        """Return the answer to a validation: go on, stop as the pruner says, or abandon."""
        if self.batch_ended(time_s=time_s) is Command.ABANDON:
            return Command.ABANDON
        return Command.STOP if prune else Command.CONTINUE

    def batch_ended(self, *, time_s: float) -> Command:
        """Return whether a running trial goes on after a batch."""
        over = self.limits.time_s is not None and time_s >= self.limits.time_s
        return Command.ABANDON if over or self.halted is not None else Command.CONTINUE

    def finished(
        self, number: int, *, epochs: float, failure: str | None, repeated: bool = False
    ) -> None:
        """Take note that a trial ended for good.

        Args:
            number: of the trial.
            epochs: that were trained for it.
            failure: the reason if it failed.
            repeated: whether it took the outcome of an earlier trial.
        """
        self.running.discard(number)
        self.ended += 1
        self.epochs += epochs
        self.repeats = self.repeats + 1 if repeated else 0
        if failure is None:
            self.any_success = True
        else:
            self.failures.append(failure)

    def given_back(self, number: int) -> None:
        """Take note that a trial stopped without an end, and waits to be started again."""
        self.running.discard(number)
        self.waiting.append(number)

    def halt(self, why: Why) -> None:
        """Start nothing more; what runs is given back at its next batch end. First why holds."""
        self.halted = self.halted or why

    def _spent(self, time_s: float) -> bool:
        trials, epochs, limit = self.limits.trials, self.limits.epochs, self.limits.time_s
        return (
            (trials is not None and self.ended >= trials)
            or (epochs is not None and self.epochs >= epochs)
            or (limit is not None and time_s >= limit)
        )

    def _failing(self) -> bool:
        if self.any_success:
            return False
        # No order matters here: a study that goes on reads its failures by number, not by time.
        alike = len(self.failures) >= FIRST_FAILURES and len(set(self.failures)) == 1
        endless = self.limits.trials is None and self.limits.time_s is None
        return alike or (endless and len(self.failures) >= MOST_FAILURES)
