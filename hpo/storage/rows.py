"""Write many changes of trials to Optuna's tables in one transaction.

Optuna's public functions commit each change by itself: 24 to 53 ms a trial on SQLite. Its table
models are used directly here, and only where the database has the schema that they were written
for; on any other, the public functions do the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState

SCHEMA = "v3.2.0.a"
"""The revision of Optuna's schema that the direct way writes."""
_TRIALS = models.TrialModel.__table__
_PARAMS = models.TrialParamModel.__table__
_VALUES = models.TrialValueModel.__table__
_REPORTS = models.TrialIntermediateValueModel.__table__
_USER = models.TrialUserAttributeModel.__table__
_SYSTEM = models.TrialSystemAttributeModel.__table__
# Statements are made once: to make one costs more than to execute it.
_OF: sql.BindParameter[Any] = sql.bindparam("of")
_AT: sql.BindParameter[Any] = sql.bindparam("at")
_DROP_REPORT = sql.delete(_REPORTS).where(_REPORTS.c.trial_id == _OF, _REPORTS.c.step == _AT)
_DROP_ATTRIBUTE = sql.delete(_USER).where(
    _USER.c.trial_id == _OF, _USER.c.key == sql.bindparam("called")
)
_DROP_VALUE = sql.delete(_VALUES).where(_VALUES.c.trial_id == _OF)
_TURN = sql.update(_TRIALS).where(_TRIALS.c.trial_id == _OF).values(state=sql.bindparam("now"))
_BEGIN = _TURN.values(datetime_start=_AT)
_END = _TURN.values(datetime_complete=_AT)
_HELD = sql.select(sql.func.count()).where(_TRIALS.c.study_id == _OF)
_INSERTS = {
    table: sql.insert(table) for table in (_TRIALS, _PARAMS, _VALUES, _REPORTS, _USER, _SYSTEM)
}


class NumberTaken(Exception):  # noqa: N818  (it says what is the case)
    """The storage holds another number of trials than this program wrote."""

    def __init__(self, wanted: int, given: int) -> None:
        super().__init__(f"gave trial {wanted} the number {given}")


@dataclass(frozen=True)
class Add:
    """A new trial, with everything that it holds, in the state that it has."""

    trial: FrozenTrial

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number


@dataclass(frozen=True)
class Report:
    """The objective of a validation."""

    number: int
    validation: int
    value: float


@dataclass(frozen=True)
class Attribute:
    """An attribute that the dashboard shows."""

    number: int
    name: str
    content: Any


@dataclass(frozen=True)
class Turn:
    """Another state, and a value if the trial has one."""

    number: int
    state: TrialState
    value: float | None = None


Change = Add | Report | Attribute | Turn


def still_to_do(changes: Sequence[Change], trials: Mapping[int, FrozenTrial]) -> list[Change]:
    """Return what of ``changes`` is not in ``trials``.

    A commit may have held although its answer was lost. Changes of a trial's state are made again
    unless its last one holds.
    """
    last = {change.number: change for change in changes if isinstance(change, Turn)}
    settled = {n for n, turn in last.items() if n in trials and trials[n].state == turn.state}
    return [change for change in changes if not _is_done(change, trials, settled)]


def _is_done(change: Change, trials: Mapping[int, FrozenTrial], settled: set[int]) -> bool:
    trial = trials.get(change.number)
    match change:
        case Add():
            return trial is not None
        case Report():
            return trial is not None and change.validation in trial.intermediate_values
        case Attribute():
            return trial is not None and trial.user_attrs.get(change.name) == change.content
        case Turn():
            return change.number in settled


def write_rows(
    storage: RDBStorage, study_id: int, ids: Mapping[int, int], changes: Sequence[Change]
) -> dict[int, int]:
    """Make all ``changes``, or none; return the storage's id of every trial that was added.

    Args:
        storage: with the schema `SCHEMA`.
        study_id: the storage's id of the study.
        ids: the storage's ids of trials, by number.
        changes: in their order.

    Raises:
        NumberTaken: if another program writes the study too.
        SQLAlchemyError: if the database does not take them.
    """
    new: dict[int, int] = {}
    with storage.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout=1000")
        for change in changes:
            if isinstance(change, Add):
                new[change.number] = _add(connection, study_id, change.trial)
        numbers = [change.number for change in changes]
        places = [new[number] if number in new else ids[number] for number in numbers]
        placed = list(zip(places, changes, strict=True))
        _write_reports(connection, placed)
        _write_attributes(connection, placed)
        for trial_id, change in placed:
            if isinstance(change, Turn):
                _turn(connection, trial_id, change)
    return new


def write_publicly(
    storage: RDBStorage, study_id: int, ids: Mapping[int, int], changes: Sequence[Change]
) -> dict[int, int]:
    """Make ``changes`` one by one through Optuna's public functions; see `write_rows`."""
    known = dict(ids)
    for change in changes:
        match change:
            case Add(trial):
                trial_id = storage.create_new_trial(study_id, template_trial=trial)
                known[trial.number] = trial_id
                given = storage.get_trial_number_from_id(trial_id)
                if given != trial.number:
                    raise NumberTaken(trial.number, given)
            case Report(number, validation, value):
                storage.set_trial_intermediate_value(known[number], validation, value)
            case Attribute(number, name, content):
                storage.set_trial_user_attr(known[number], name, content)
            case Turn(number, state, value):
                values = None if value is None else [value]
                storage.set_trial_state_values(known[number], state, values)
    return {number: known[number] for number in known if number not in ids}


def _add(connection: sql.Connection, study_id: int, trial: FrozenTrial) -> int:
    given = int(connection.execute(_HELD, {"of": study_id}).scalar_one())
    if given != trial.number:
        raise NumberTaken(trial.number, given)
    row = {
        "number": trial.number,
        "study_id": study_id,
        "state": trial.state,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }
    inserted = connection.execute(_INSERTS[_TRIALS], row).inserted_primary_key
    trial_id = int(inserted[0]) if inserted else -1
    params = [
        {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": distribution.to_internal_repr(trial.params[name]),
            "distribution_json": distribution_to_json(distribution),
        }
        for name, distribution in trial.distributions.items()
    ]
    _insert(connection, _PARAMS, params)
    _insert(connection, _SYSTEM, _attributes(trial_id, trial.system_attrs))
    _insert(connection, _USER, _attributes(trial_id, trial.user_attrs))
    reports = [_report(trial_id, *one) for one in trial.intermediate_values.items()]
    _insert(connection, _REPORTS, reports)
    if trial.values is not None:
        _insert(connection, _VALUES, [_value(trial_id, trial.values[0])])
    return trial_id


def _write_reports(connection: sql.Connection, changes: Sequence[tuple[int, Change]]) -> None:
    """Write the reports among ``changes``; of several of one validation, the last holds."""
    found = {
        (trial_id, change.validation): change.value
        for trial_id, change in changes
        if isinstance(change, Report)
    }
    if found:
        connection.execute(_DROP_REPORT, [{"of": of, "at": at} for of, at in found])
        _insert(connection, _REPORTS, [_report(*place, value) for place, value in found.items()])


def _write_attributes(connection: sql.Connection, changes: Sequence[tuple[int, Change]]) -> None:
    """Write the attributes among ``changes``; of several of one name, the last holds."""
    found = {
        (trial_id, change.name): change.content
        for trial_id, change in changes
        if isinstance(change, Attribute)
    }
    if found:
        connection.execute(_DROP_ATTRIBUTE, [{"of": of, "called": name} for of, name in found])
        rows = [_attributes(of, {name: content}) for (of, name), content in found.items()]
        _insert(connection, _USER, [row for each in rows for row in each])


def _turn(connection: sql.Connection, trial_id: int, turn: Turn) -> None:
    given: dict[str, Any] = {"of": trial_id, "now": turn.state, "at": _utc(datetime.now())}
    if turn.state == TrialState.RUNNING:
        connection.execute(_BEGIN, given)
    elif turn.state.is_finished():
        connection.execute(_END, given)
    else:
        connection.execute(_TURN, given)
    # A trial whose record was lost is trained again, and has a value already.
    connection.execute(_DROP_VALUE, {"of": trial_id})
    if turn.value is not None:
        _insert(connection, _VALUES, [_value(trial_id, turn.value)])


def _insert(connection: sql.Connection, table: sql.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(_INSERTS[table], rows)


def _attributes(trial_id: int, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "key": name, "value_json": json.dumps(content)}
        for name, content in attributes.items()
    ]


def _report(trial_id: int, validation: int, value: float) -> dict[str, Any]:
    model = models.TrialIntermediateValueModel
    stored, kind = model.intermediate_value_to_stored_repr(value)
    return {
        "trial_id": trial_id,
        "step": validation,
        "intermediate_value": stored,
        "intermediate_value_type": kind,
    }


def _value(trial_id: int, value: float) -> dict[str, Any]:
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"trial_id": trial_id, "objective": 0, "value": stored, "value_type": kind}


def _utc(local: datetime | None) -> datetime | None:
    """Return a naive local time as naive UTC, as Optuna's tables hold it."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)
