import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo.child import data_hashes
from hpo.errors import RefusedError
from hpo.files import read_document
from hpo.folder import (
    create_folder,
    data_differ,
    differences,
    record_changes,
    refuse,
    settings_differ,
    time_used,
    trials_told,
)
from hpo.layout import StudyFolder
from hpo.spec import StudySpec, load_study
from lightning_modules.plugins import load_plugin

MakeSpec = Callable[..., StudySpec]


def hashes_of(spec: StudySpec) -> dict[str, str | None]:
    """Return the hashes of a study's data."""
    return data_hashes(spec.space.resolve(spec.space.defaults()[0].params))


@pytest.fixture
def made(tmp_path: Path, make_spec: MakeSpec) -> StudyFolder:
    """Return the folder of the tiny study, freshly made."""
    spec = make_spec()
    folder = StudyFolder(tmp_path / spec.name)
    folder.path.mkdir()
    create_folder(folder, spec, hashes_of(spec))
    return folder


def reopen(folder: StudyFolder, spec: StudySpec, *, allow_change: bool = False) -> None:
    """Do what `run_study` does with a folder that exists."""
    data = hashes_of(spec)
    found = settings_differ(folder, spec) + data_differ(folder, data)
    refuse(folder, [] if allow_change else found)
    record_changes(folder, spec, data, found)


def fingerprint(folder: StudyFolder) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(folder.fingerprint.read_text())
    return stored


def test_the_study_file_in_the_folder_is_the_study(made: StudyFolder, make_spec: MakeSpec) -> None:
    assert load_study(made.study_file).values() == make_spec().values()


def test_the_fingerprint_holds_space_data_and_plugins(
    made: StudyFolder, make_spec: MakeSpec
) -> None:
    stored = fingerprint(made)
    assert stored["schema"] == "hpo.fingerprint/1"
    assert stored["space_sha256"] == make_spec().space.sha256()
    assert len(stored["data_sha256"]) == len(stored["split_sha256"]) == 64
    assert (stored["plugins"], stored["changes"]) == ({}, [])


def test_the_same_study_opens_and_changes_nothing(made: StudyFolder, make_spec: MakeSpec) -> None:
    before = [made.fingerprint.read_bytes(), made.study_file.read_bytes()]
    reopen(made, make_spec())
    assert [made.fingerprint.read_bytes(), made.study_file.read_bytes()] == before


@pytest.mark.parametrize(
    "override",
    [
        "search.trial_timeout=9s",
        "search.trial_memory_gb=1.5",
        "budget.trials=9",
        "budget={epochs: 3}",
        "budget.time=1h",
        "search.retries=0",
    ],
)
def test_budget_and_retries_may_change(
    made: StudyFolder, make_spec: MakeSpec, override: str
) -> None:
    reopen(made, make_spec(override))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("search.seed=1", "search.seed: 0 → 1"),
        ("search.sampler=qmc", "search.sampler.name: random → qmc"),
        ("search.pruner=median", "search.pruner.name: none → median"),
        ("trainer.max_epochs=5", "trainer.max_epochs: 2 → 5"),
        ("objective.metric=f1", "objective.metric: nothing → f1"),
        ("model.width=8", "model.width: {'low': 4, 'high': 16, 'step': 4} → 8"),
        ("data.validation=0.3", "data.validation: nothing → 0.3"),
        ("data.split_seed=7", "data.split_seed: nothing → 7"),
    ],
)
def test_another_space_data_objective_or_seed_is_refused_with_the_difference(
    made: StudyFolder, make_spec: MakeSpec, override: str, line: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        reopen(made, make_spec(override))
    text = str(caught.value)
    assert text.startswith("tiny: was made with other settings:\n  ")
    assert text.endswith("; --name NEW starts another study, --allow-change goes on")
    assert line in text


def test_every_difference_is_named_at_once(made: StudyFolder, make_spec: MakeSpec) -> None:
    with pytest.raises(RefusedError) as caught:
        reopen(made, make_spec("search.seed=1", "trainer.max_epochs=5"))
    assert "search.seed: 0 → 1" in str(caught.value)
    assert "trainer.max_epochs: 2 → 5" in str(caught.value)


def test_a_refusal_changes_nothing(made: StudyFolder, make_spec: MakeSpec) -> None:
    before = [made.fingerprint.read_bytes(), made.study_file.read_bytes()]
    with pytest.raises(RefusedError):
        reopen(made, make_spec("search.seed=1"))
    assert [made.fingerprint.read_bytes(), made.study_file.read_bytes()] == before


def test_a_change_that_is_allowed_is_recorded(made: StudyFolder, make_spec: MakeSpec) -> None:
    changed = make_spec("search.seed=1")
    uuid = fingerprint(made)["uuid"]
    reopen(made, changed, allow_change=True)
    stored = fingerprint(made)
    assert [change["what"] for change in stored["changes"]] == [["search.seed: 0 → 1"]]
    assert stored["uuid"] == uuid
    assert stored["space_sha256"] == changed.space.sha256()
    reopen(made, changed)
    assert fingerprint(made) == stored


def test_data_that_changed_under_the_same_name_are_refused(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    table = tmp_path / "data.csv"
    lines = [f"{n},{n % 7},{'uv'[n % 2]}" for n in range(40)]
    table.write_text("\n".join(["a,b,y", *lines]))
    spec = make_spec(
        task={"kind": "binary"}, data={"source": "csv", "path": str(table), "target": "y"}
    )
    folder = StudyFolder(tmp_path / "study")
    folder.path.mkdir()
    create_folder(folder, spec, hashes_of(spec))
    stored = fingerprint(folder)
    stored["data_sha256"] = "0" * 64  # as if the file had been another one
    folder.fingerprint.write_text(json.dumps(stored))
    with pytest.raises(RefusedError, match=r"data_sha256: 000000000000… → [0-9a-f]{12}…"):
        reopen(folder, spec)


@pytest.mark.usefixtures("registries")
def test_plugin_code_that_changed_is_recorded_and_goes_on(
    tmp_path: Path, made: StudyFolder, make_spec: MakeSpec
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("X = 1\n")
    load_plugin(str(plugin))
    reopen(made, make_spec())
    stored = fingerprint(made)
    assert [change["what"] for change in stored["changes"]] == [[f"plugin {plugin}: its code"]]
    assert list(stored["plugins"]) == [str(plugin)]


@pytest.mark.usefixtures("registries")
def test_a_backbone_that_changed_is_recorded_and_goes_on(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    plugin, backbone = tmp_path / "mine.py", tmp_path / "backbone.ckpt"
    plugin.write_text(
        "import pytorch_lightning as pl\n"
        "class Tuned(pl.LightningModule):\n"
        "    def __init__(self, backbone: str = '', lr: float = 0.1): ...\n"
    )
    load_plugin(str(plugin))
    backbone.write_text("weights")
    model = {"family": "Tuned", "backbone": str(backbone), "lr": {"low": 0.1, "high": 1.0}}
    objective = {"metric": "val_acc", "direction": "maximize"}
    spec = make_spec(model=model, objective=objective, optimizer=None)
    folder = StudyFolder(tmp_path / "study")
    folder.path.mkdir()
    create_folder(folder, spec, hashes_of(spec))
    reopen(folder, spec)
    assert fingerprint(folder)["changes"] == []
    backbone.write_text("other weights")
    reopen(folder, spec)
    told = [change["what"] for change in fingerprint(folder)["changes"]]
    assert told == [[f"file {backbone}: its content"]]
    reopen(folder, spec)
    assert len(fingerprint(folder)["changes"]) == 1


def test_ranges_and_branches_differ_by_their_own_paths() -> None:
    old = {"a": {"low": 1, "high": 2}, "b": {"one_of": {"x": {"lr": 1}, "y": {}}}}
    new = {"a": {"low": 1, "high": 3}, "b": {"one_of": {"x": {"lr": 2}, "y": {}}}, "c": None}
    assert differences(old, new) == [
        "a: {'low': 1, 'high': 2} → {'low': 1, 'high': 3}",
        "b.one_of.x.lr: 1 → 2",
    ]


def test_equal_settings_have_no_difference_and_the_name_is_none() -> None:
    values = {"name": "a", "budget": {"trials": 3}, "model": {"width": 3}}
    assert differences(values, values) == []
    assert differences(values, {**values, "name": "b", "budget": {"time": "1h"}}) == []


def test_a_long_difference_is_cut() -> None:
    (line,) = differences({"a": "x" * 99}, {"a": "y"})
    assert line == f"a: {'x' * 12}… → y"


def test_the_progress_is_what_was_saved_last(made: StudyFolder) -> None:
    assert (time_used(made), trials_told(made)) == (0.0, 0)
    made.progress.write_text('{"wall_seconds": 12.5, "ended": 3}\n')
    assert (time_used(made), trials_told(made)) == (12.5, 3)


def test_the_study_file_reads_back_as_a_document(made: StudyFolder) -> None:
    assert read_document(made.study_file).values["name"] == "tiny"
