from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.storage.rows import (
    SCHEMA,
    Add,
    Attribute,
    Change,
    NumberTaken,
    Report,
    Turn,
    still_to_do,
    write_publicly,
    write_rows,
)
from hpo.storage.writer import open_storage, sqlite_url

Write = Callable[..., dict[int, int]]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[RDBStorage]:
    storage = open_storage(sqlite_url(tmp_path / "storage.sqlite"))
    yield storage
    storage.remove_session()
    storage.engine.dispose()


def trial(number: int, state: TrialState = TrialState.RUNNING, **given: Any) -> FrozenTrial:
    made = create_trial(
        state=state,
        params={"lr": 0.1, "n": 3, "kind": "b"},
        distributions={
            "lr": FloatDistribution(1e-3, 1.0, log=True),
            "n": IntDistribution(1, 9, step=2),
            "kind": CategoricalDistribution(["a", "b", None]),
        },
        **given,
    )
    made.number = number
    return made


LIFE: list[Change] = [
    Add(trial(0, system_attrs={"fixed_params": {"lr": 0.1}})),
    Report(0, 1, 0.25),
    Report(0, 2, 0.5),
    Attribute(0, "seed", 7),
    Attribute(0, "what", 'it\'s "quoted" – ünïcode'),
    Turn(0, TrialState.COMPLETE, 0.5),
    Add(trial(1)),
    Report(1, 1, -1.5),
    Turn(1, TrialState.WAITING),
    Turn(1, TrialState.RUNNING),
    Turn(1, TrialState.FAIL),
    Add(trial(2, TrialState.PRUNED, value=1e300, intermediate_values={3: 0.125})),
    Add(trial(3, TrialState.WAITING)),
]


def shown(storage: RDBStorage, study_id: int) -> list[dict[str, Any]]:
    return [
        {
            "number": one.number,
            "state": one.state,
            "value": one.value,
            "params": one.params,
            "distributions": one.distributions,
            "reports": one.intermediate_values,
            "user": one.user_attrs,
            "system": one.system_attrs,
            "started": one.datetime_start is not None,
            "ended": one.datetime_complete is not None,
        }
        for one in storage.get_all_trials(study_id)
    ]


def test_rows_are_what_the_public_functions_write(storage: RDBStorage) -> None:
    studies = [storage.create_new_study([StudyDirection.MAXIMIZE], name) for name in "ab"]
    for write, study in zip((write_rows, write_publicly), studies, strict=True):
        for change in LIFE:  # one by one, and
            ids = {t.number: t._trial_id for t in storage.get_all_trials(study)}
            write(storage, study, ids, [change])
    assert shown(storage, studies[0]) == shown(storage, studies[1])
    third = storage.create_new_study([StudyDirection.MAXIMIZE], "c")
    write_rows(storage, third, {}, LIFE)  # all at once
    assert shown(storage, third) == shown(storage, studies[1])


def test_the_schema_that_rows_are_written_for_is_the_one_of_this_optuna(
    storage: RDBStorage,
) -> None:
    assert storage.get_current_version() == SCHEMA


@pytest.mark.parametrize("write", [write_rows, write_publicly])
def test_a_number_that_is_taken_is_told(storage: RDBStorage, write: Write) -> None:
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    write(storage, study, {}, [Add(trial(0))])
    with pytest.raises(NumberTaken, match="gave trial 0 the number 1"):
        write(storage, study, {}, [Add(trial(0))])


def test_of_changes_that_fail_none_is_made(storage: RDBStorage) -> None:
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    with pytest.raises(KeyError):
        write_rows(storage, study, {}, [*LIFE, Turn(99, TrialState.FAIL)])
    assert storage.get_all_trials(study) == []


@pytest.mark.parametrize("held", range(len(LIFE) + 1))
def test_what_is_written_already_is_not_written_again(storage: RDBStorage, held: int) -> None:
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    ids = write_rows(storage, study, {}, LIFE[:held])
    found = {t.number: t for t in storage.get_all_trials(study)}
    write_rows(storage, study, ids, still_to_do(LIFE, found))
    whole = storage.create_new_study([StudyDirection.MAXIMIZE], "whole")
    write_rows(storage, whole, {}, LIFE)
    assert shown(storage, study) == shown(storage, whole)


def test_optuna_goes_on_where_rows_end(storage: RDBStorage) -> None:
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    write_rows(storage, study_id, {}, LIFE)
    study = optuna.load_study(study_name="s", storage=storage)
    assert study.best_trial.number == 0
    assert study.ask().number == 3  # the one that waits
