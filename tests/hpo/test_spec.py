import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from hpo.errors import SpecError, UsageError
from hpo.files import Document, parse_document
from hpo.search import PRUNERS, SAMPLERS
from hpo.spec import (
    StudySpec,
    check_document,
    find_study_file,
    load_study,
    override_document,
    shipped_studies,
)
from lightning_modules.families import FAMILIES, Family
from lightning_modules.settings import Settings

TEXT = """\
name: tiny
task: {kind: multiclass}
data: {source: digits}
model:
  one_of:
    mlp:
      n_layers: {low: 1, high: 3}
      width: {choices: [8, 16]}
    cnn:
optimizer:
  one_of:
    adamw: {lr: {low: 1e-4, high: 1e-1, log: true}}
    sgd: {lr: {low: 1e-3, high: 1.0, log: true}}
trainer: {max_epochs: 2}
budget: {trials: 3, time: 10m}
search: {sampler: random, seed: 5}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TEXT)
    return path


def names(spec: StudySpec) -> list[str]:
    return [leaf.name for leaf in spec.space.parameters()]


def overridden(*overrides: str) -> dict[str, Any]:
    document = parse_document(TEXT, "tiny.yaml")
    for override in overrides:
        document = override_document(document, override)
    return document.values


def test_a_study_file_is_read(file: Path) -> None:
    spec = load_study(file)
    assert (spec.name, spec.budget.trials, spec.budget.time_s) == ("tiny", 3, 600.0)
    assert (spec.search.sampler, spec.search.seed) == (SAMPLERS["random"].config(), 5)
    assert names(spec)[0] == "model"


def test_a_study_can_be_given_as_values(file: Path) -> None:
    values = parse_document(TEXT, "").values
    assert load_study(values).text() == load_study(file).text()


def test_a_study_without_a_name_is_called_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(TEXT.replace("name: tiny\n", ""))
    assert load_study(path).name == "other"
    assert load_study(path, name="given").name == "given"
    assert load_study(path, ["name=set"]).name == "set"


def test_a_study_without_a_budget_has_fifty_trials() -> None:
    values = parse_document(TEXT, "").values
    del values["budget"]
    assert load_study(values).budget.trials == 50


def test_the_text_of_a_study_reads_back_equal(file: Path, tmp_path: Path) -> None:
    spec = load_study(file, ["trainer.batch_size=64"])
    again = tmp_path / "again.yaml"
    again.write_text(spec.text())
    read = load_study(again)
    assert read.text() == spec.text()
    assert read.settings == spec.settings
    assert read.space.values == spec.space.values
    assert read.space.sha256() == spec.space.sha256()


def test_the_text_of_a_study_writes_out_the_defaults_of_its_settings(file: Path) -> None:
    values = parse_document(load_study(file).text(), "").values
    assert next(iter(values)) == "name"
    assert values["search"]["pruner"]["name"] == "hyperband"
    assert values["budget"] == {"trials": 3, "time": "10m"}


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("trainer.max_epochs=5", ["trainer", "max_epochs"], 5),
        (" trainer.max_epochs = 5 ", ["trainer", "max_epochs"], 5),
        ("trainer.batch_size=32", ["trainer", "batch_size"], 32),
        ("schedule.name=cosine", ["schedule", "name"], "cosine"),
        ("data.test=", ["data", "test"], None),
        ("budget.time=1h", ["budget", "time"], "1h"),
        ("model.mlp.n_layers=2", ["model", "one_of", "mlp", "n_layers"], 2),
        ("model.mlp.n_layers.high=2", ["model", "one_of", "mlp", "n_layers", "high"], 2),
        ("model.cnn.width=8", ["model", "one_of", "cnn", "width"], 8),
        (
            "optimizer.sgd.lr={low: 0.1, high: 1}",
            ["optimizer", "one_of", "sgd", "lr"],
            {"low": 0.1, "high": 1},
        ),
        (
            "model.mlp.width={choices: [1, 2]}",
            ["model", "one_of", "mlp", "width", "choices"],
            [1, 2],
        ),
        ("model.mlp.width.choices.1=99", ["model", "one_of", "mlp", "width", "choices"], [8, 99]),
        ("model=mlp", ["model", "family"], "mlp"),
        ("model = cnn", ["model"], {"family": "cnn"}),
        ("optimizer=sgd", ["optimizer", "name"], "sgd"),
        ("optimizer=sgd", ["optimizer", "lr", "high"], 1.0),
        ("optimizer={name: adam}", ["optimizer"], {"name": "adam"}),
        (
            "search.sampler.n_candidates=4",
            ["search", "sampler"],
            {"name": "random", "n_candidates": 4},
        ),
    ],
)
def test_an_override_sets_one_value(override: str, path: list[str], value: Any) -> None:
    found: Any = overridden(override)
    for key in path:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("section", "branches", "override", "expected"),
    [
        ("task", {"binary": {}, "multiclass": None}, "task=multiclass", {"kind": "multiclass"}),
        ("data", {"iris": {"test": 0.1}}, "data=iris", {"source": "iris", "test": 0.1}),
        ("schedule", {"cosine": None}, "schedule=cosine", {"name": "cosine"}),
    ],
)
def test_picking_a_branch_writes_its_tag(
    section: str, branches: Any, override: str, expected: Any
) -> None:
    document = Document(name="study", values={section: {"one_of": branches}})
    assert override_document(document, override).values == {section: expected}


def test_overrides_are_applied_in_order() -> None:
    values = overridden("model=mlp", "model.width=4", "model.width=5")
    assert values["model"]["width"] == 5


def test_an_override_leaves_the_document_as_it_was() -> None:
    document = parse_document(TEXT, "tiny.yaml")
    override_document(document, "model.mlp.width=4")
    assert document.values == parse_document(TEXT, "tiny.yaml").values


def test_picking_a_branch_leaves_only_its_parameters(file: Path) -> None:
    spec = load_study(file, ["model=mlp", "optimizer=sgd"])
    assert names(spec) == ["model.n_layers", "model.width", "optimizer.lr"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer", "is no PATH=VALUE; --set trainer.max_epochs=5"),
        ("=5", "is no PATH=VALUE"),
        ("trainer..threads=5", "is no PATH=VALUE"),
        ("trainer.max_epochs={", "expected the node content"),
        ("model.rnn.width=3", "'rnn' is no branch here; did you mean 'cnn'?"),
        ("model.tree.width=3", "'tree' is no branch here; known: cnn, mlp"),
        ("model=mpl", "'mpl' is no branch here; did you mean 'mlp'?"),
        ("trainer.max_epochs.x=3", "nothing lies below 2; set the value itself"),
        ("model.mlp.width.x=3", "nothing lies below choices; set the value itself"),
        ("model.mlp.width.choices.2=3", "'2' is no index of a list of 2; count from 0"),
        ("model.mlp.width.choices.x=3", "'x' is no index of a list of 2; count from 0"),
    ],
)
def test_a_wrong_override_is_named_whole(override: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        overridden(override)
    assert str(caught.value).startswith(f"--set {override}: {message}")


def test_a_branch_without_settings_to_pick_is_refused() -> None:
    document = Document(name="study", values={"optimizer": {"one_of": {"adam": 5}}})
    with pytest.raises(UsageError, match=r"branch 'adam' is no mapping of settings; adam: {}"):
        override_document(document, "optimizer=adam")


def test_a_one_of_that_is_no_mapping_is_replaced_by_the_override() -> None:
    document = Document(name="study", values={"optimizer": {"one_of": ["adam"]}})
    assert override_document(document, "optimizer=adam").values == {"optimizer": "adam"}


def test_a_mistake_in_an_override_stands_at_the_override(file: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_study(file, ["model.mlp.n_layers.high=0", "trainer.threads=0", "budget.trials=x"])
    assert str(caught.value).splitlines() == [
        "tiny.yaml:7: model.mlp.n_layers: low 1 > high 0; swap them".replace(
            "tiny.yaml", str(file)
        ),
        "--set trainer.threads=0: trainer.threads: 0 does not fit; "
        "it should be greater than or equal to 1",
        "--set budget.trials=x: budget.trials: 'x' does not fit; it should be a valid integer",
    ]


def test_every_mistake_of_space_and_settings_is_named_at_once_at_its_line() -> None:
    text = """\
nmae: a
modle: {}
task: {kind: multiclass}
data: {source: digit}
model: {family: mlp, width: {low: 2, high: 1}}
budget: {trials: 0}
search: {sampler: tpee,
  pruner: {name: median, n_min_trial: 3}}
"""
    with pytest.raises(SpecError) as caught:
        check_document(parse_document(text, "a.yaml"))
    assert sorted(str(caught.value).splitlines()) == [
        "a.yaml: name: is missing; this setting has no default",
        "a.yaml:1: nmae: unknown key; did you mean 'name'?",
        "a.yaml:2: modle: unknown key; did you mean 'model'?",
        "a.yaml:4: data.source: no data source 'digit'; did you mean 'digits'?"
        " (your own code comes with --plugin FILE)",
        "a.yaml:5: model.width: low 2 > high 1; swap them",
        "a.yaml:6: budget.trials: 0 does not fit; it should be greater than or equal to 1",
        "a.yaml:7: search.sampler: no sampler 'tpee'; did you mean 'tpe'?",
        "a.yaml:8: search.pruner.n_min_trial: unknown key; did you mean 'n_min_trials'?",
    ]


def test_a_study_with_nothing_to_search_is_refused() -> None:
    with pytest.raises(SpecError, match="study: nothing to search; give at least one setting"):
        load_study({"data": {"source": "iris"}, "task": {"kind": "multiclass"},
                    "model": {"family": "mlp"}}, name="a")  # fmt: skip


@pytest.mark.parametrize(
    "override",
    [
        "data.split={choices: [random, stratified]}",
        "data.split_seed={low: 0, high: 9}",
        "data.folds={low: 2, high: 5}",
        "data.duplicates={choices: [keep, drop]}",
        "objective.metric={choices: [accuracy, f1]}",
    ],
)
def test_what_decides_which_rows_judge_a_trial_cannot_be_searched(
    file: Path, override: str
) -> None:
    with pytest.raises(SpecError, match="cannot be searched: trials could not be compared"):
        load_study(file, [override])


@pytest.mark.parametrize(
    "loss",
    [
        "{name: quantile, quantile: {low: 0.1, high: 0.9}}",
        "{one_of: {mse: {}, quantile: {quantile: {low: 0.1, high: 0.9}}}}",
    ],
)
def test_what_is_predicted_cannot_be_searched(loss: str) -> None:
    study = {"task": {"kind": "regression"}, "data": {"source": "diabetes"}}
    with pytest.raises(SpecError, match=r"task\.loss.*cannot be searched: trials could"):
        load_study({**study, "model": {"family": "mlp"}}, [f"task.loss={loss}"], name="a")


def test_preparation_can_be_searched(file: Path) -> None:
    spec = load_study(file, ["data.prepare.scale={choices: [standard, minmax]}"])
    assert "data.prepare.scale" in [one.name for one in spec.space.parameters()]


def test_a_grid_over_a_continuous_range_is_refused_at_its_line(file: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_study(file, ["search.sampler=grid"])
    assert str(caught.value) == (
        f"{file}:12: optimizer.adamw.lr: a grid needs choices or a step; "
        "add choices or step, or use sampler: tpe"
    )


def test_a_grid_of_too_many_points_is_refused(file: Path) -> None:
    with pytest.raises(SpecError, match=r"search.sampler: the grid has more than 100,000 points"):
        load_study(
            file,
            ["search.sampler=grid", "optimizer=adamw", "optimizer.lr=0.1",
             "model.mlp.width={low: 1, high: 1000000}"],
        )  # fmt: skip


def test_a_record_of_one_config_is_no_study() -> None:
    with pytest.raises(UsageError, match="is a record of one config; hpo train retrains it"):
        load_study({"schema": 1, "config": {}})


def test_a_study_file_is_found_by_path_or_by_the_name_of_a_shipped_one(file: Path) -> None:
    assert find_study_file(str(file)) == file
    for name, path in shipped_studies().items():
        assert find_study_file(name) == path


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.yaml", "nowhere.yaml: no such file; shipped studies: "),
        ("zzzzzz", "zzzzzz: no study file; known: "),
        ("a" * 600, "File name too long; check the path"),
        ("a\0b", "no study file"),
    ],
)
def test_a_study_that_is_not_there_is_named(source: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_study_file(source)
    assert message in str(caught.value)


@pytest.mark.parametrize("module", ["hpo", "hpo.spec", "search_spaces"])
def test_importing_the_study_file_imports_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'pytorch_lightning', 'optuna', 'pandas', 'sklearn'}"
    program = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("optimizer.sgd.lr=-1", "optimizer.sgd.lr"),
        ("trainer={max_epochs: 0}", "trainer.max_epochs"),
    ],
)
def test_what_an_override_replaced_no_longer_stands_in_the_file(
    file: Path, override: str, path: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_study(file, [override])
    assert str(caught.value).startswith(f"--set {override}: {path}: ")


PLAIN = """\
name: plain
data:
  source: digits
task:
  kind: multiclass
model:
  width: {low: 8, high: 16}
  family: mlp
optimizer:
  lr: 0.1
  name: adamw
trainer:
  max_epochs: 3
  validate_every: 2
search:
  pruner: hyperband
"""


def complaint(text: str, *overrides: str) -> str:
    document = parse_document(text, "a.yaml")
    for override in overrides:
        document = override_document(document, override)
    with pytest.raises(SpecError) as caught:
        check_document(document)
    return str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("source: digits", "source: digit", "a.yaml:3: data.source: no data source 'digit'"),
        ("kind: multiclass", "kind: multi", "a.yaml:5: task.kind: no task kind 'multi'"),
        ("family: mlp", "family: mpl", "a.yaml:8: model.family: no family 'mpl'"),
        ("name: adamw", "name: adamx", "a.yaml:11: optimizer.name: no optimizer 'adamx'"),
        ("  name: adamw\n", "", "a.yaml:9: optimizer: name is missing"),
        ("family: mlp", "family: mlp\n  layers: [3]", "a.yaml:9: model.layers: gives every size"),
        (
            "validate_every: 2",
            "validate_every: 4",
            "a.yaml:14: trainer.validate_every: must be between 1 and max_epochs",
        ),
        ("pruner: hyperband", "pruner: hyperbnd", "a.yaml:16: search.pruner: no pruner 'hyperbnd'"),
    ],
)
def test_a_mistake_stands_at_the_line_of_its_key(right: str, wrong: str, place: str) -> None:
    assert complaint(PLAIN.replace(right, wrong)).startswith(place)


@pytest.mark.parametrize(
    ("override", "complains"),
    [
        ("optimizer.name=adamx", "optimizer.name: no optimizer 'adamx'"),
        ("schedule.name=cosin", "schedule.name: no schedule 'cosin'"),
        ("schedule.warmup=0.1", "schedule: name is missing"),
        ("model.family=mpl", "model.family: no family 'mpl'"),
        ("model.layers=[3]", "model.layers: gives every size already; remove width, or layers"),
        ("trainer.validate_every=0", "trainer.validate_every: must be between 1 and max_epochs"),
        ("trainer.validate_every=1.5", "trainer.validate_every: 1.5 is no number of epochs"),
        ("search.pruner.reduction_factor=1", "search.pruner.reduction_factor: 1 does not fit"),
        ("search.sampler.name=tpee", "search.sampler.name: no sampler 'tpee'"),
        ("budget.time=600", "budget.time: 600 is no duration; write 600s or 10m"),
        ("optimizer=sgd", "optimizer: needs a mapping with the key 'name'; write {name: sgd}"),
    ],
)
def test_a_mistake_that_an_override_makes_stands_at_the_override(
    override: str, complains: str
) -> None:
    assert complaint(PLAIN, override).startswith(f"--set {override}: {complains}")


def test_a_section_that_only_overrides_made_stands_at_the_first_of_them() -> None:
    found = complaint(PLAIN, "schedule.warmup=0.1", "schedule.final=0.1")
    assert found.startswith("--set schedule.warmup=0.1: schedule: name is missing")


def test_a_section_without_effect_stands_at_the_override_that_made_it(registries: None) -> None:
    class OwnModel(Settings):
        family: Literal["Own"] = "Own"
        width: int = 8

    FAMILIES.register("Own")(Family(config=OwnModel, builder=lambda _: None, whole=True))
    text = PLAIN.replace("family: mlp", "family: Own").replace("optimizer:", "objective:")
    text = text.replace("lr: 0.1", "metric: acc").replace("name: adamw", "direction: maximize")
    found = complaint(text, "schedule.name=cosine")
    assert found.startswith("--set schedule.name=cosine: schedule: Own is a whole LightningModule")


@pytest.mark.parametrize("sampler", ["grid", "gp"])
def test_what_a_sampler_cannot_do_stands_where_it_is_chosen(sampler: str) -> None:
    text = TEXT.replace("{low: 1e-4, high: 1e-1, log: true}", "0.1")
    text = text.replace("{low: 1e-3, high: 1.0, log: true}", "0.1")
    text = text.replace("{choices: [8, 16]}", "{low: 1, high: 1000000}")
    override = f"search.sampler={sampler}"
    assert complaint(text, override).startswith(f"--set {override}: search.sampler: ")
    in_file = text.replace("search: {sampler: random,", f"search: {{\n  sampler: {sampler},")
    assert complaint(in_file).startswith("a.yaml:17: search.sampler: ")


def test_settings_of_a_bare_pruner_or_sampler_can_be_overridden(file: Path) -> None:
    text = TEXT.replace("{sampler: random,", "{sampler: tpe, pruner: hyperband,")
    file.write_text(text)
    overrides = ["search.pruner.reduction_factor=4", "search.sampler.n_startup_trials=2"]
    search = load_study(file, overrides).search
    assert search.pruner == PRUNERS["hyperband"].config(reduction_factor=4)
    assert search.sampler == SAMPLERS["tpe"].config(n_startup_trials=2)
