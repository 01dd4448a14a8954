"""Who is told what happens in a study: the terminal, TensorBoard, an event stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo.layout import StudyFolder
from hpo.proposals import Proposal
from hpo.records import TrialRecord
from hpo.scheduler import Limits
from hpo.spec import StudySpec
from lightning_modules.result import Validation


@dataclass(frozen=True, kw_only=True)
class StudyStart:
    """A study begins or goes on."""

    spec: StudySpec
    folder: StudyFolder
    metric: str
    direction: str
    past: Sequence[TrialRecord]
    total: int | None
    """How many trials the budget allows; None without such a limit."""
    chosen: Sequence[str] = ()
    """What was chosen by measuring, in lines: precision and layout of each family."""

    @property
    def is_done(self) -> bool:
        """Whether the trials are used up: no trial follows, only the end."""
        return self.total is not None and len(self.past) >= self.total


@dataclass(frozen=True, kw_only=True)
class StudyEnd:
    """A call of a study is over."""

    why: str
    """As `hpo.scheduler.Why` has it."""
    records: Sequence[TrialRecord]
    best: TrialRecord | None
    new: int
    """How many trials ended in this call."""
    seconds: float
    """Wall-clock time of this call."""
    direction: str
    """``maximize`` or ``minimize``."""


class Observer(Protocol):
    """Told of everything, in order; it decides nothing."""

    def study_started(self, start: StudyStart) -> None:
        """Take note that a study begins or goes on."""
        ...

    def trial_started(self, proposal: Proposal) -> None:
        """Take note of a trial."""
        ...

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Take the report of a validation; ``prune`` is the pruner's word."""
        ...

    def batch_ended(self) -> None:
        """Take note that time passes."""
        ...

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Take the record of a trial; ``best`` if none is better."""
        ...

    def trial_given_back(self, number: int) -> None:
        """Take note that a trial stopped and waits."""
        ...

    def budget_changed(self, limits: Limits) -> None:
        """Take note of another total budget."""
        ...

    def warned(self, text: str) -> None:
        """Take note of something that the user should know; the study goes on."""
        ...

    def study_ended(self, end: StudyEnd) -> None:
        """Take note that this call is over."""
        ...
