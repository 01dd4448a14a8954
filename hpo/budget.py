"""What a study's settings allow: its budget, and the limits of each trial."""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

from optuna.trial import FrozenTrial, TrialState

from hpo.records import TrialRecord
from hpo.scheduler import Limits, Scheduler
from hpo.search import seconds
from hpo.spec import StudySpec
from hpo.supervisor import TrialLimits


def most_validations(spec: StudySpec) -> int:
    """Return how many validations the longest run of the space has."""
    return max(config.n_validations for config in spec.space.corners())


def trial_limits(spec: StudySpec) -> TrialLimits:
    """Return what one trial of a study may take."""
    search = spec.search
    memory = search.trial_memory_gb
    return TrialLimits(
        timeout_s=None if search.trial_timeout is None else seconds(search.trial_timeout),
        memory_bytes=None if memory is None else memory * 1e9,
    )


def scheduler_of(
    limits: Limits, records: Sequence[TrialRecord], past: Sequence[FrozenTrial], capacity: int
) -> Scheduler:
    """Return the schedule of a study as its records and storage left it."""
    failures = [f"{r.reason}: {r.what}" for r in records if r.state == "failed"]
    waiting = [trial.number for trial in past if trial.state == TrialState.WAITING]
    return Scheduler(
        limits=limits,
        capacity=capacity,
        waiting=deque(waiting),
        ended=len(records),
        epochs=sum(record.epochs_spent for record in records),
        repeats=len(list(takewhile(lambda record: record.same_as is not None, records[::-1]))),
        failures=failures,
        any_success=len(failures) < len(records),
    )
