from hpo.compare.settings import differing_packages, differing_settings
from hpo.compare.sides import read_sides
from hpo.layout import StudyFolder

MLP = {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 16, "log": True}}


def settings(*folders: StudyFolder) -> dict[str, dict[str, str]]:
    return {one.path: dict(one.values) for one in differing_settings(read_sides(folders))}


def test_only_what_differs_is_named_and_a_range_is_one_setting(make_study) -> None:
    b = make_study("b", overrides=["optimizer.lr={low: 1e-4, high: 0.1, log: true}"])
    assert settings(make_study("a"), b) == {
        "optimizer.adamw.lr": {"a": "0.001 to 0.1, log", "b": "0.0001 to 0.1, log"}
    }


def test_the_name_differs_always_and_is_no_difference(make_study) -> None:
    assert settings(make_study("a"), make_study("b")) == {}


def test_what_a_file_leaves_out_counts_as_what_its_trials_had(make_study) -> None:
    a, b = make_study("a"), make_study("b", overrides=["model.dropout=0.1"])
    assert settings(a, b) == {}
    c = make_study("c", overrides=["model.dropout=0.5"])
    assert settings(a, c) == {"model.mlp.dropout": {"a": "0.1", "c": "0.5"}}


def test_a_family_is_compared_with_the_same_branch_of_a_choice(make_study) -> None:
    a = make_study("a", sections={"model": MLP})
    rest = {key: value for key, value in MLP.items() if key != "family"}
    b = make_study("b", sections={"model": {"one_of": {"mlp": rest, "resnet_mlp": {"width": 8}}}})
    assert settings(a, b) == {
        "model": {"a": "mlp", "b": "mlp or resnet_mlp"},
        "model.resnet_mlp.width": {"a": "–", "b": "8"},
    }


def test_search_and_budget_are_settings_too(make_study) -> None:
    b = make_study("b", sections={"search": {"sampler": "tpe", "pruner": "none", "seed": 3}})
    found = settings(make_study("a"), b)
    assert found["search.sampler"] == {"a": "random", "b": "tpe"}
    assert found["search.seed"] == {"a": "0", "b": "3"}
    assert found["search.sampler.tpe.n_startup_trials"]["a"] == "–"


def test_of_several_studies_each_has_its_column(make_study) -> None:
    folders = [make_study(name) for name in "ab"]
    folders.append(make_study("c", overrides=["trainer.batch_size={choices: [30, 60]}"]))
    assert settings(*folders) == {"trainer.batch_size": {"a": "60", "b": "60", "c": "30 or 60"}}


def test_packages_that_differ_are_named_with_their_versions(make_study) -> None:
    a, b = make_study("a"), make_study("b")
    b.environment.write_text("numpy==2.4.0\ntorch==2.12.0\nhpo @ file:///work\nmuon==1.0\n")
    found = {one.path: dict(one.values) for one in differing_packages(read_sides([a, b]))}
    assert found == {
        "torch": {"a": "2.13.0", "b": "2.12.0"},
        "muon": {"a": "–", "b": "1.0"},
    }
