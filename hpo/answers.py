"""What a trial hears: the supervisor's answers, and its own errors kept apart from the trial's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lightning_modules.result import Command, Validation


class Answering(Protocol):
    """Who answers trials."""

    def validated(self, number: int, validation: Validation) -> Command:
        """Take a report of a running trial and answer it."""
        ...

    def batch_ended(self) -> Command:
        """Answer a running trial after a batch."""
        ...


class SupervisorFailed(BaseException):
    """The supervisor, or an observer, failed while it answered a trial of this process."""


class Answers:
    """The listener of one trial: hands its reports to the supervisor."""

    def __init__(self, supervisor: Answering, number: int) -> None:
        self._supervisor = supervisor
        self._number = number

    def validated(self, validation: Validation) -> Command:
        """Return the answer to a report."""
        with _not_the_trials_fault():
            return self._supervisor.validated(self._number, validation)

    def batch_ended(self) -> Command:
        """Return the answer to a batch."""
        with _not_the_trials_fault():
            return self._supervisor.batch_ended()


@contextmanager
def _not_the_trials_fault() -> Iterator[None]:
    """Carry an error of ours past the border at which errors become the trial's."""
    try:
        yield
    except Exception as error:
        raise SupervisorFailed from error
