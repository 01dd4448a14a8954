"""Bring the storage of a study in line with its records: what is on disk is the truth."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.errors import StudyError
from hpo.grammar.nodes import Scalar
from hpo.layout import StudyFolder
from hpo.records import ProposalRecord, TrialRecord, attributes_of, read_curve, read_record
from hpo.space import SearchSpace
from hpo.steering.wishes import REQUEST
from hpo.storage.writer import STATES, StudyStorage


def settle(
    database: StudyStorage,
    folder: StudyFolder,
    space: SearchSpace,
    records: Sequence[TrialRecord],
) -> list[FrozenTrial]:
    """Bring the storage in line with the folder, and return all its trials.

    A trial with a record has ended. One without, which runs or is unknown to the storage, waits:
    its supervisor is gone. What the last seconds reported is taken from the curves.

    Raises:
        StudyError: if the storage has trials that ended, and whose records are gone.
    """
    recorded = {record.number: record for record in records}
    trials = database.trials()
    gone = [t.number for t in trials if t.state.is_finished() and t.number not in recorded]
    if gone:
        shown = ", ".join(map(str, gone[:5])) + (" and more" if len(gone) > 5 else "")
        what = f"the records of trials {shown} are gone, or damaged"
        hint = "restore them, or hpo doctor --repair has these trials trained again"
        raise StudyError(folder.name, what, hint)
    for trial in trials:
        if not trial.state.is_finished():
            _catch_up(database, folder, trial, recorded.get(trial.number))
    for number in _unknown(folder, recorded, len(trials)):
        record = recorded.get(number)
        if record is not None:
            database.add(ended_trial(folder, space, record))
        else:
            database.add(_waiting_trial(folder, space, number))
    return database.trials()


def ended_trial(folder: StudyFolder, space: SearchSpace, record: TrialRecord) -> FrozenTrial:
    """Return a record as the trial that the storage holds of it."""
    attributes = {name: value for name, value in attributes_of(record).items() if value is not None}
    trial = create_trial(
        state=STATES[record.state],
        value=record.value,
        params=record.params,
        distributions=_distributions(space, record.params),
        intermediate_values=read_curve(folder.trial(record.number)),
        user_attrs=attributes,
    )
    trial.number = record.number
    trial.datetime_start = _local(record.started_utc)
    trial.datetime_complete = _local(record.ended_utc)
    return trial


def _catch_up(
    database: StudyStorage, folder: StudyFolder, trial: FrozenTrial, record: TrialRecord | None
) -> None:
    """Write what a supervisor that was killed did not come to."""
    for validation, value in read_curve(folder.trial(trial.number)).items():
        if validation not in trial.intermediate_values:
            database.report(trial.number, validation=validation, value=value)
    if record is not None:
        database.finish(record.number, record.state, record.value, attributes_of(record))
    elif trial.state == TrialState.RUNNING:
        database.give_back(trial.number)


def _unknown(folder: StudyFolder, recorded: Mapping[int, TrialRecord], known: int) -> range:
    """Return the numbers of trials that the storage does not know."""
    proposed = [
        int(path.name)
        for path in folder.trial_folders()
        if folder.proposal(int(path.name)).exists()
    ]
    return range(known, max([*recorded, *proposed], default=-1) + 1)


def _waiting_trial(folder: StudyFolder, space: SearchSpace, number: int) -> FrozenTrial:
    """Return a trial that ran while the storage could not be written."""
    if not folder.proposal(number).exists():
        what = f"trial {number} is in neither storage nor records, and later trials are"
        raise StudyError(folder.name, what, "restore the storage, or use another name")
    proposal = read_record(folder.proposal(number), ProposalRecord)
    params = proposal.params
    trial = create_trial(
        state=TrialState.WAITING,
        params=params,
        distributions=_distributions(space, params),
        intermediate_values=read_curve(folder.trial(number)),
        user_attrs={} if proposal.request is None else {REQUEST: proposal.request},
    )
    trial.number = number
    return trial


def _distributions(
    space: SearchSpace, params: Mapping[str, Scalar]
) -> dict[str, optuna.distributions.BaseDistribution]:
    given = optuna.trial.FixedTrial(dict(params))
    if space.imported is None:
        space.decide(given)
    else:
        space.decide_some(given, params)
    return given.distributions


def _local(utc: str) -> datetime:
    """Return an ISO time as naive local time, as Optuna holds times."""
    return datetime.fromisoformat(utc).astimezone().replace(tzinfo=None)
