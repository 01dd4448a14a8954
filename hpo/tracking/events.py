"""The event stream: one JSON object per line, for programs that follow a study."""

import json
from dataclasses import asdict
from typing import IO, Any

from hpo.proposals import Proposal
from hpo.records import TrialRecord, now_utc
from hpo.room import patiently
from hpo.scheduler import Limits
from hpo.tracking.observers import StudyEnd, StudyStart
from lightning_modules.result import Validation


class EventsObserver:
    """Write every event as a line of JSON, flushed at once."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._study = ""

    def study_started(self, start: StudyStart) -> None:
        """Write ``study_started``."""
        self._study = start.spec.name
        self._write("study_started", metric=start.metric, direction=start.direction)

    def trial_started(self, proposal: Proposal) -> None:
        """Write ``trial_started``."""
        self._write("trial_started", trial=proposal.number, params=proposal.trial.params)

    def validated(self, number: int, validation: Validation, *, prune: bool) -> None:
        """Write ``epoch``."""
        report = validation.model_dump(mode="json")
        self._write("epoch", trial=number, prune=prune, **report)

    def batch_ended(self) -> None:
        """Batches are no events."""

    def trial_ended(self, record: TrialRecord, *, best: bool) -> None:
        """Write ``trial_finished``, and ``best_changed`` where it is."""
        self._write(
            "trial_finished",
            trial=record.number,
            state=record.state,
            reason=record.reason,
            value=record.value,
            seconds=record.seconds,
        )
        if best:
            self._write("best_changed", trial=record.number, value=record.value)

    def trial_given_back(self, number: int) -> None:
        """Write ``trial_given_back``."""
        self._write("trial_given_back", trial=number)

    def budget_changed(self, limits: Limits) -> None:
        """Write ``budget_changed``."""
        self._write("budget_changed", **asdict(limits))

    def warned(self, text: str) -> None:
        """Write ``warning``."""
        self._write("warning", what=text)

    def study_ended(self, end: StudyEnd) -> None:
        """Write ``study_finished``."""
        best = None if end.best is None else end.best.number
        self._write("study_finished", why=end.why, best=best, new=end.new)

    def _write(self, event: str, **fields: Any) -> None:
        line = {"t": now_utc(), "event": event, "study": self._study, **fields}
        self._stream.write(json.dumps(line, allow_nan=False) + "\n")
        patiently(self._stream.flush, "the events")  # what a full disk did not take waits in there
