import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path

import optuna
import optuna_dashboard
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage, get_storage

from hpo.dashboard.artifacts import PREFIX, Artifacts
from hpo.dashboard.summaries import Summaries
from hpo.dashboard.viewed import ViewedStorage
from hpo.layout import StudyFolder
from hpo.storage.writer import sqlite_url

READS = ("get_", "check_trial_is_updatable", "_check_or_")


@pytest.fixture
def stored(copied: StudyFolder) -> BaseStorage:
    storage = RDBStorage(sqlite_url(copied.path.parent / "storage.sqlite", read_only=True))
    yield get_storage(storage)
    storage.engine.dispose()


@pytest.fixture
def view(stored: BaseStorage, copied: StudyFolder) -> Callable[..., ViewedStorage]:
    def make(**options: bool) -> ViewedStorage:
        artifacts, summaries = Artifacts(), Summaries(copied.path.parent)
        notes = options.get("notes", False)
        return ViewedStorage(stored, summaries, artifacts=artifacts, notes=notes)

    return make


def test_every_method_that_writes_is_refused(view) -> None:
    """Enumerated, so that a method which a later Optuna adds fails here first."""
    seen = view()
    writes = [
        name
        for name in BaseStorage.__abstractmethods__
        if not name.startswith("get_") and name != "set_study_system_attr"
    ]
    assert len(writes) == 9
    for name in writes:
        n_arguments = len(inspect.signature(getattr(seen, name)).parameters)
        with pytest.raises(PermissionError, match="for looking only"):
            getattr(seen, name)(*[1] * n_arguments)
    for key in ("dashboard:note_ver", "dashboard:note_str:0", "optuna:x"):
        with pytest.raises(PermissionError):
            seen.set_study_system_attr(1, key, "x")


@pytest.mark.parametrize("key", ["artifacts:1", "dashboard:plot_data:a:0", "preference:x", "x"])
def test_where_notes_are_allowed_nothing_else_is(view, key: str) -> None:
    with pytest.raises(PermissionError):
        view(notes=True).set_study_system_attr(1, key, "x")


def test_the_list_of_studies_makes_no_additions(view, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = view()
    monkeypatch.setattr(seen, "_added", lambda *_: pytest.fail("made for a list"))
    (study,) = seen.get_all_studies()
    assert study.system_attrs.get("preference:is_preferential", False) is False


def test_pictures_of_a_trial_are_artifacts_wherever_they_lie(view, copied: StudyFolder) -> None:
    for file in copied.path.glob("trials/*/*.svg"):
        file.unlink()
    (copied.trial(0) / "curve.svg").write_text("<svg/>")
    seen = view()
    trials = seen.get_all_trials(1)
    named = [sum(key.startswith(PREFIX) for key in trial.system_attrs) for trial in trials]
    assert named == [1] + [0] * 6
    (meta,) = [v for k, v in trials[0].system_attrs.items() if k.startswith(PREFIX)]
    assert seen.get_trial(trials[0]._trial_id).system_attrs == trials[0].system_attrs
    with seen._artifacts.open_reader(json.loads(meta)["artifact_id"]) as stream:
        assert stream.read() == b"<svg/>"
    with pytest.raises(PermissionError):
        seen._artifacts.remove(json.loads(meta)["artifact_id"])


def test_the_best_trial_is_the_one_of_the_best_config(view, copied: StudyFolder) -> None:
    best = json.loads(copied.best_config.read_text())
    others = [t.number for t in view().get_all_trials(1) if t.number != best["study"]["trial"]]
    best["study"]["trial"] = others[0]  # as if fresh seeds had chosen another
    copied.best_config.write_text(json.dumps(best))
    assert view().get_best_trial(1).number == others[0]


def test_a_study_that_has_no_folder_is_seen_as_it_is_stored(view, copied: StudyFolder) -> None:
    Path(copied.path).rename(copied.path.parent.parent / "gone")
    seen = view()
    assert seen.get_study_system_attrs(1) == seen._stored.get_study_system_attrs(1)
    assert len(seen.get_all_trials(1)) == 7


def test_optunas_own_card_still_shows_an_infeasible_trial() -> None:
    """When this fails, optuna-dashboard has learnt of constraints, and less of ours is needed."""
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, direction="maximize")
    for value, violation in ((0.9, 1.0), (0.4, -1.0)):
        trial = study.ask()
        trial.set_constraint("size", violation)
        study.tell(trial, value)
    assert study.best_trial.value == 0.4
    app, said = optuna_dashboard.wsgi(storage), []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies/0", "QUERY_STRING": ""}
    environ |= {"SERVER_NAME": "x", "SERVER_PORT": "1", "wsgi.input": io.BytesIO()}
    body = b"".join(app(environ, lambda status, headers, *rest: said.append(status)))
    assert said == ["200 OK"]
    assert json.loads(body)["best_trials"][0]["values"] == [0.9]
