import hashlib
import json
import sqlite3
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from hpo.best import best_of
from hpo.errors import EnvironmentFault, RefusedError, UsageError
from hpo.import_optuna import choose_objective, import_study, parameters_of
from hpo.layout import StudyFolder
from hpo.listing import list_studies
from hpo.records import read_curve, read_trials
from hpo.spec import load_study
from hpo.storage.reading import OldStudy, read_study
from hpo.storage.writer import sqlite_url

LR = FloatDistribution(1e-5, 1e-1, log=True)
SPACE = {
    "lr": LR,
    "n_layers": IntDistribution(1, 4),
    "width": IntDistribution(16, 256, log=True),
    "dropout": FloatDistribution(0.0, 0.5, step=0.1),
    "act": CategoricalDistribution(["relu", None, True, 3]),
}
PARAMS = {"lr": 0.01, "n_layers": 2, "width": 32, "dropout": 0.2, "act": "relu"}


def trial(state: TrialState = TrialState.COMPLETE, value: float | None = 0.5, **more):
    given = {"params": PARAMS, "distributions": SPACE} | more
    return create_trial(state=state, value=value, **given)


@pytest.fixture
def old_file(tmp_path) -> Path:
    """A storage with a study of every state, one of two objectives, and an empty one."""
    file = tmp_path / "old.db"
    storage = RDBStorage(sqlite_url(file))
    study = optuna.create_study(storage=storage, study_name="cifar", direction="maximize")
    study.set_user_attr("team", {"size": 3})
    study.add_trial(trial(value=0.7, user_attrs={"host": "a", "n_parameters": 100}))
    study.add_trial(trial(value=0.9, params={"lr": 0.1}, distributions={"lr": LR}))
    pruned = {0: 0.1, 2: 0.4, 3: 0.2}
    study.add_trial(trial(TrialState.PRUNED, None, intermediate_values=pruned))
    study.add_trial(trial(TrialState.FAIL, None))
    study.add_trial(trial(value=float("inf")))
    study.add_trial(trial(value=0.95, system_attrs={"constraints:latency": 0.5}))
    study.ask()
    study.enqueue_trial({"lr": 1e-3})
    several = optuna.create_study(
        storage=storage, study_name="two", directions=["maximize", "minimize"]
    )
    with warnings.catch_warnings(action="ignore"):  # it is marked experimental
        several.set_metric_names(["accuracy", "latency"])
    several.add_trial(create_trial(values=[0.5, 3.0], params={"lr": 0.1}, distributions={"lr": LR}))
    several.add_trial(
        create_trial(values=[0.9, 9.0], params={"lr": 0.2e-1}, distributions={"lr": LR})
    )
    optuna.create_study(storage=storage, study_name="no-name-1 (copy)")
    storage.remove_session()
    storage.engine.dispose()
    return file


@pytest.fixture
def imported(old_file, tmp_path) -> StudyFolder:
    return import_study(read_study(str(old_file), "cifar"), tmp_path / "results").folder


def old(*trials, directions=("maximize",), metrics=("value",)) -> OldStudy:
    for number, one in enumerate(trials):
        one.number = number
    return OldStudy(
        source="old.db",
        name="old",
        metrics=metrics,
        directions=directions,
        trials=trials,
        attributes={},
    )


def test_every_trial_becomes_a_record_with_value_state_and_parameters(imported) -> None:
    records = read_trials(imported)
    assert [(r.state, r.reason, r.value) for r in records] == [
        ("complete", None, 0.7),
        ("complete", None, 0.9),
        ("pruned", None, 0.4),
        ("failed", "error", None),
        ("failed", "nan", None),
        ("failed", "infeasible", None),
        ("failed", "killed", None),
        ("failed", "killed", None),
    ]
    first, second = records[:2]
    assert first.params == PARAMS
    assert second.params == {"lr": 0.1}
    assert first.imported.attributes == {"host": "a", "n_parameters": 100}
    assert first.config["parameters"] == PARAMS
    assert first.config["objective"] == {"metric": "value", "direction": "maximize"}
    assert first.run is None
    assert records[5].imported.value == 0.95
    assert (records[5].violation, records[5].measured) == (0.5, {"constraint.latency": 0.5})
    assert best_of(records, "maximize").number == 1


def test_reports_become_the_curve(imported) -> None:
    assert read_curve(imported.trial(2)) == {0: 0.1, 2: 0.4, 3: 0.2}
    assert read_curve(imported.trial(0)) == {}


def test_the_space_follows_from_the_distributions(imported) -> None:
    space = load_study(imported.study_file).space
    nodes = {one.name: one.node for one in space.parameters()}
    assert (nodes["lr"].low, nodes["lr"].high, nodes["lr"].log) == (1e-5, 1e-1, True)
    assert (nodes["n_layers"].whole, nodes["n_layers"].step) == (True, None)
    assert (nodes["width"].whole, nodes["width"].log) == (True, True)
    assert (nodes["dropout"].whole, nodes["dropout"].step) == (False, 0.1)
    assert nodes["act"].choices == ("relu", None, True, 3)


def test_a_range_that_changed_along_the_way_is_the_widest() -> None:
    first = trial(
        params={"x": 3, "c": "a"},
        distributions={"x": IntDistribution(1, 5), "c": CategoricalDistribution(["a"])},
    )
    second = trial(
        params={"x": 10, "c": "b"},
        distributions={"x": IntDistribution(2, 10, step=4), "c": CategoricalDistribution(["b"])},
    )
    third = trial(params={"x": 0.5}, distributions={"x": FloatDistribution(0.5, 2)})
    assert parameters_of([first, second]) == {
        "x": {"low": 1, "high": 10, "whole": True},
        "c": {"choices": ["a", "b"]},
    }
    assert parameters_of([first, second, third])["x"] == {"low": 0.5, "high": 10}


def test_a_parameter_of_two_kinds_is_named(tmp_path) -> None:
    number = trial(params={"x": 1}, distributions={"x": IntDistribution(1, 5)})
    choice = trial(params={"x": "a"}, distributions={"x": CategoricalDistribution(["a"])})
    with pytest.raises(UsageError, match="x: was a number in some trials and one of several"):
        import_study(old(number, choice), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_old_storage_and_its_folder_stay_as_they_were(old_file, tmp_path) -> None:
    digest = hashlib.sha256(old_file.read_bytes()).hexdigest()
    before = sorted(path.name for path in tmp_path.iterdir())
    import_study(read_study(str(old_file), "cifar"), tmp_path / "results")
    assert hashlib.sha256(old_file.read_bytes()).hexdigest() == digest
    assert sorted(path.name for path in tmp_path.iterdir()) == [*before, "results"]


def test_a_storage_with_a_write_ahead_log_is_read_and_left_alone(old_file, tmp_path) -> None:
    connection = sqlite3.connect(old_file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert len(read_study(f"sqlite:///{old_file}", "cifar").trials) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_storage_that_is_written_meanwhile_is_read_with_what_was_committed(old_file) -> None:
    storage = RDBStorage(sqlite_url(old_file))
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    study = optuna.load_study(storage=storage, study_name="two")
    study.add_trial(create_trial(values=[0.1, 1.0]))
    assert len(read_study(str(old_file), "two").trials) == 3
    storage.remove_session()
    storage.engine.dispose()


def test_a_journal_is_read_too(tmp_path) -> None:
    file = tmp_path / "journal.log"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))), study_name="one"
    )
    study.add_trial(trial(value=0.3))
    before = file.read_bytes()
    done = import_study(read_study(str(file), None), tmp_path / "results")
    assert (done.folder.name, done.direction, done.records[0].value) == ("one", "minimize", 0.3)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cifr", "no study 'cifr'; did you mean 'cifar'"),
        (None, r"holds 3 studies: cifar, two, no-name-1 \(copy\); name one of them"),
    ],
)
def test_a_study_that_is_not_named_well_is_answered_with_names(old_file, name, what) -> None:
    with pytest.raises(UsageError, match=what):
        read_study(str(old_file), name)


def test_what_is_no_storage_is_said(tmp_path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_study(str(tmp_path / "gone.db"), "x")
    with pytest.raises(UsageError, match="no such file"):
        read_study(f"sqlite:///{tmp_path / 'gone.db'}", "x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text.db").write_text("hello")
    with pytest.raises(UsageError, match="is no storage of Optuna"):
        read_study(str(tmp_path / "text.db"), "x")
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(UsageError, match="is no storage of Optuna"):
        read_study(str(tmp_path / "other.db"), "x")


def test_a_damaged_storage_is_an_environment_fault(old_file) -> None:
    data = bytearray(old_file.read_bytes())
    data[4096:40960] = b"x" * 36864
    old_file.write_bytes(data)
    with pytest.raises(EnvironmentFault, match="is damaged"):
        read_study(str(old_file), "cifar")


def test_a_storage_of_another_schema_names_the_way_out(old_file) -> None:
    connection = sqlite3.connect(old_file)
    connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    connection.commit()
    connection.close()
    digest = hashlib.sha256(old_file.read_bytes()).hexdigest()
    with pytest.raises(EnvironmentFault, match="another version of Optuna; copy it, then: optuna"):
        read_study(str(old_file), "cifar")
    assert hashlib.sha256(old_file.read_bytes()).hexdigest() == digest


def test_of_several_objectives_one_is_chosen(old_file, tmp_path) -> None:
    found = read_study(str(old_file), "two")
    with pytest.raises(UsageError, match="has 2 objectives: accuracy, latency; choose one with"):
        import_study(found, tmp_path / "results")
    with pytest.raises(UsageError, match="no objective 'latncy'; did you mean 'latency'"):
        choose_objective(found, "latncy")
    assert choose_objective(found, "1") == choose_objective(found, "latency")
    done = import_study(found, tmp_path / "results", objective="latency")
    assert (done.metric, done.direction) == ("latency", "minimize")
    assert [record.value for record in done.records] == [3.0, 9.0]


def test_the_only_objective_may_be_given_a_name() -> None:
    assert choose_objective(old(), None).metric == "value"
    assert choose_objective(old(), "accuracy").metric == "accuracy"


def test_a_name_that_is_no_folders_needs_another(old_file, tmp_path) -> None:
    found = read_study(str(old_file), "no-name-1 (copy)")
    with pytest.raises(UsageError, match="cannot name a folder; give another with --name"):
        import_study(found, tmp_path / "results")
    done = import_study(found, tmp_path / "results", name="copy")
    assert (done.folder.name, done.records) == ("copy", [])
    (line,) = list_studies(tmp_path / "results")
    assert (line.name, line.best) == ("copy", None)


def test_an_existing_study_is_not_mixed_with(imported, old_file) -> None:
    found, results = read_study(str(old_file), "cifar"), imported.path.parent
    with pytest.raises(RefusedError, match="exists already; --name NEW"):
        import_study(found, results)
    imported.path.rename(results / "elsewhere")
    with pytest.raises(RefusedError, match="folder is gone; --name NEW, or hpo delete cifar"):
        import_study(found, results)


def test_an_import_that_is_killed_leaves_no_study_and_can_be_repeated(
    old_file, tmp_path, monkeypatch
) -> None:
    found, results = read_study(str(old_file), "cifar"), tmp_path / "results"
    with monkeypatch.context() as patch:
        patch.setattr("os.sync", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            import_study(found, results)
    assert list_studies(results) == []
    import_study(found, results)
    assert [path.name for path in results.iterdir() if path.is_dir()] == ["cifar"]


def test_our_storage_has_the_trials_for_the_dashboard(imported) -> None:
    found = read_study(str(imported.path.parent / "storage.sqlite"), "cifar")
    assert [t.state.name for t in found.trials] == [
        "COMPLETE",
        "COMPLETE",
        "PRUNED",
        "FAIL",
        "FAIL",
        "FAIL",
        "FAIL",
        "FAIL",
    ]
    assert found.trials[0].params == PARAMS
    assert found.trials[0].distributions["lr"] == LR
    assert found.trials[0].user_attrs == {"host": "a", "n_parameters": 100, "status": "complete"}
    assert found.trials[2].intermediate_values == {0: 0.1, 2: 0.4, 3: 0.2}
    assert found.metrics == ["value"]


def test_no_record_says_where_the_old_storage_was(imported, tmp_path) -> None:
    texts = [p.read_text() for p in imported.path.rglob("*") if p.is_file() and p.name != "lock"]
    assert not [text for text in texts if str(tmp_path) in text]
    told = json.loads(imported.fingerprint.read_text())["imported"]
    assert told == {"from": "old.db", "study": "cifar", "attributes": {"team": {"size": 3}}}


@pytest.mark.parametrize("name", ["=1+1", "<script>", "a\nb", "päth/..", "seed", " ", "a.b"])
def test_parameters_may_be_called_anything(tmp_path, name: str) -> None:
    one = trial(params={name: 0.5}, distributions={name: FloatDistribution(0, 1)})
    done = import_study(old(one), tmp_path / "results")
    assert read_trials(done.folder)[0].params == {name: 0.5}
    (parameter,) = load_study(done.folder.study_file).space.parameters()
    assert parameter.name == name


def test_the_verbs_that_look_show_an_imported_study(imported, cli) -> None:
    place = ("--results", imported.path.parent)
    (line,) = json.loads(cli("list", "--json", *place).out)["result"]
    assert (line["metric"], line["best"], line["default"]) == ("value", 0.9, None)
    assert "0.9000" in cli("trials", "cifar", "--top", 1, *place).out
    assert "lr=0.1" in cli("trials", "cifar", "--top", 1, *place).out
    assert cli("show", "cifar", 0, 2, *place).code == 0
    assert "best: trial 1  value ↑ 0.9000" in cli("status", "cifar", *place).out
    rows = json.loads(cli("trials", "cifar", "--json", *place).out)["result"]
    assert (rows[0]["seed"], rows[0]["objective"], rows[1]["width"]) == (None, 0.7, None)
    assert cli("tag", "cifar", "old", *place).code == 0
    doctor = cli("doctor", *place)
    assert "ok   cifar: 8 trials on record" in doctor.out


@pytest.mark.parametrize(
    "verb", [("run", "FILE"), ("check", "FILE"), ("enqueue", "NAME", "--set", "lr=0.1")]
)
def test_the_verbs_that_train_refuse_an_imported_study(imported, cli, verb) -> None:
    names = {"FILE": str(imported.study_file), "NAME": "cifar"}
    place = () if verb[0] == "check" else ("--results", imported.path.parent)
    said = cli(*(names.get(word, word) for word in verb), *place)
    assert (said.code, said.out) == (2, "")
    assert "was imported from an Optuna study; how to train its trials is not known" in said.err


@pytest.mark.parametrize("verb", [("best",), ("evaluate",)])
def test_the_verbs_of_a_best_config_say_that_there_is_none(imported, cli, verb) -> None:
    said = cli(*verb, "cifar", "--results", imported.path.parent)
    assert (said.code, said.out) == (3, "")
    assert "was imported, and has no best_config.json" in said.err
    assert "hpo trials cifar --top 5" in said.err


def test_an_imported_study_that_was_moved_is_put_into_the_new_storage(imported, cli) -> None:
    place = ("--results", imported.path.parent)
    (imported.path.parent / "storage.sqlite").unlink()
    assert "8 trials on record are not in the storage" in cli("doctor", *place).out
    repaired = cli("doctor", "--repair", *place)
    assert (repaired.code, "8 trials were put back" in repaired.out) == (0, True)


def test_the_command_line_imports(old_file, tmp_path, cli) -> None:
    place = ("--results", tmp_path / "results")
    said = cli("import", f"sqlite:///{old_file}", "cifar", *place)
    assert said.out.splitlines() == [
        "8 trials (2 complete, 1 pruned, 5 failed), 5 parameters, value ↑",
        "best: trial 1   0.9000",
        "2 had not ended, and are recorded as failed",
        str(tmp_path / "results" / "cifar"),
    ]
    assert said.err == "next: hpo trials cifar --top 5\n"
    told = json.loads(cli("import", old_file, "cifar", "--name", "b", "--json", *place).out)
    assert told["result"]["trials"] == {"complete": 2, "pruned": 1, "failed": 5}
    secret = cli("import", "postgresql://me:secret@db/x", "cifar", *place)
    assert (secret.code, "seen by everybody" in secret.err, "secret" in secret.err) == (
        2,
        True,
        False,
    )


def test_a_study_file_that_says_imported_and_is_not_so_is_named(imported, cli) -> None:
    text = imported.study_file.read_text()
    imported.study_file.write_text(text.replace("direction: maximize", "direction: up"))
    said = cli("check", imported.study_file)
    assert (said.code, "direction" in said.err) == (2, True)
