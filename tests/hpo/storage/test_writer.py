import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.errors import EnvironmentFault, StudyError
from hpo.storage.urls import redacted
from hpo.storage.writer import StudyStorage, sqlite_url

Open = Callable[..., StudyStorage]


@pytest.fixture
def open_storage(tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens a storage, which is closed after the test."""
    opened: list[StudyStorage] = []

    def make(file: Path = tmp_path / "storage.sqlite", **changes: str) -> StudyStorage:
        given = {"study": "s", "direction": "maximize", "metric": "accuracy"} | changes
        opened.append(StudyStorage(sqlite_url(file), **given))
        return opened[-1]

    yield make
    for storage in opened:
        storage.close()


def running(number: int = 0) -> FrozenTrial:
    trial = create_trial(
        state=TrialState.RUNNING,
        params={"lr": 0.1},
        distributions={"lr": optuna.distributions.FloatDistribution(0.0, 1.0)},
    )
    trial.number = number
    return trial


def names_of_metrics(path: Path) -> list[str] | None:
    storage = RDBStorage(sqlite_url(path, read_only=True))
    try:
        names: list[str] | None = optuna.load_study(study_name="s", storage=storage).metric_names
        return names
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_a_trial_runs_reports_and_ends(open_storage: Open) -> None:
    storage = open_storage()
    storage.begin(running())
    assert [trial.state for trial in storage.trials()] == [TrialState.RUNNING]
    storage.report(0, validation=1, value=0.25)
    storage.report(0, validation=2, value=0.5)
    storage.finish(0, "complete", 0.5, {"seed": 3, "reason": None})
    (trial,) = storage.trials()
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    assert trial.params == {"lr": 0.1}
    assert trial.intermediate_values == {1: 0.25, 2: 0.5}
    assert trial.user_attrs == {"seed": 3}


@pytest.mark.parametrize(
    ("state", "value", "stored"),
    [
        ("complete", 0.5, TrialState.COMPLETE),
        ("pruned", 0.5, TrialState.PRUNED),
        ("failed", None, TrialState.FAIL),
    ],
)
def test_the_storage_tells_the_truth(
    open_storage: Open, state: str, value: float | None, stored: TrialState
) -> None:
    storage = open_storage()
    storage.begin(running())
    storage.finish(0, state, value, {})
    (trial,) = storage.trials()
    assert (trial.state, trial.value) == (stored, value)


def test_a_trial_that_is_given_back_waits_under_its_number_with_its_parameters(
    open_storage: Open,
) -> None:
    storage = open_storage()
    storage.begin(running())
    storage.report(0, validation=1, value=0.25)
    storage.give_back(0)
    assert [trial.state for trial in storage.trials()] == [TrialState.WAITING]
    storage.resume(0)
    (trial,) = storage.trials()
    assert (trial.state, trial.number, trial.params) == (TrialState.RUNNING, 0, {"lr": 0.1})


def test_a_report_may_be_made_again(open_storage: Open) -> None:
    storage = open_storage()
    storage.begin(running())
    for value in (0.25, 0.5):
        storage.report(0, validation=1, value=value)
    assert storage.trials()[0].intermediate_values == {1: 0.5}


def test_another_connection_sees_what_was_written_and_may_go_on(open_storage: Open) -> None:
    open_storage().begin(running())
    again = open_storage()
    again.finish(0, "complete", 1.0, {})
    again.begin(running(1))
    assert [trial.number for trial in again.trials()] == [0, 1]


def test_a_number_that_is_taken_shows_that_another_program_writes(open_storage: Open) -> None:
    storage, other = open_storage(), open_storage()
    other.begin(running())
    with pytest.raises(StudyError) as caught:
        storage.begin(running(0))
    assert "gave trial 0 the number 1: another program writes it" in str(caught.value)
    assert str(caught.value).endswith("; end the other program, run again")


def test_a_study_of_another_direction_is_refused(open_storage: Open) -> None:
    open_storage()
    with pytest.raises(StudyError) as caught:
        open_storage(direction="minimize", metric="loss")
    message = "holds a study 's' that is to maximize; give this study another name"
    assert str(caught.value).endswith(message)


def test_studies_of_one_storage_do_not_see_each_other(open_storage: Open) -> None:
    a, b = open_storage(study="a"), open_storage(study="b", direction="minimize")
    a.begin(running())
    assert (len(a.trials()), len(b.trials())) == (1, 0)


def test_the_dashboard_knows_the_metrics_name(tmp_path: Path, open_storage: Open) -> None:
    open_storage()
    assert names_of_metrics(tmp_path / "storage.sqlite") == ["accuracy"]


def test_sqlite_keeps_a_write_ahead_log_and_syncs_every_commit(
    tmp_path: Path, open_storage: Open
) -> None:
    storage = open_storage()
    with closing(sqlite3.connect(tmp_path / "storage.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with storage._storage.engine.connect() as own:
        assert own.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.mark.parametrize(
    "name", ["a 'b' c", 'a"=0"', "a?b", "a%20b", "a{b}", "a#b", "a&b=c", "a\nb", "é", "a:b@c"]
)
def test_a_storage_lies_in_its_folder_whatever_that_is_called(
    tmp_path: Path, open_storage: Open, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    storage = open_storage(folder / "storage.sqlite")
    storage.begin(running())
    assert (folder / "storage.sqlite").is_file()
    assert list(tmp_path.iterdir()) == [folder]
    assert names_of_metrics(folder / "storage.sqlite") == ["accuracy"]


def test_a_read_only_storage_cannot_be_written(tmp_path: Path, open_storage: Open) -> None:
    open_storage()
    url = sqlite_url(tmp_path / "storage.sqlite", read_only=True)
    with pytest.raises(EnvironmentFault, match="readonly database"):
        StudyStorage(url, study="new", direction="maximize", metric="accuracy")


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("sqlite:////nowhere/at/all/storage.sqlite", "unable to open database file"),
        ("nonsense", "Could not parse"),
        ("foo://me:secret@host/db", "sqlalchemy"),
    ],
)
def test_a_storage_that_does_not_open_is_named_without_its_secrets(url: str, what: str) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        StudyStorage(url, study="s", direction="maximize", metric="m")
    text = str(caught.value)
    assert what in text
    assert "secret" not in text
    assert text.startswith(redacted(url) + ": ")
    assert text.endswith("; check --storage, or the rights of the folder")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////data/storage.sqlite", "sqlite:////data/storage.sqlite"),
        ("postgresql://me:secret@db.example:5432/hpo", "postgresql://db.example:5432/hpo"),
        ("postgresql://me:se@cret@db.example/hpo", "postgresql://db.example/hpo"),
        ("mysql://db.example/hpo?password=secret", "mysql://db.example/hpo"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_url_is_shown_without_user_password_and_query(url: str, shown: str) -> None:
    assert redacted(url) == shown
