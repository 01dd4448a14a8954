"""What every shipped study file keeps."""

from pathlib import Path

import pytest

import search_spaces
from hpo.files import read_document
from hpo.spec import load_study, shipped_studies
from lightning_modules.config import RunConfig

FOLDER = Path(search_spaces.__file__).parent
FILES = sorted(FOLDER.glob("*.yaml"))
each_file = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)


def test_there_are_shipped_studies() -> None:
    assert FILES
    assert list(shipped_studies()) == [file.stem for file in FILES]


def test_the_folder_holds_data_only() -> None:
    names = {path.name for path in FOLDER.iterdir()} - {"__init__.py", "__pycache__"}
    assert {Path(name).suffix for name in names} <= {".yaml", ".md", ".csv"}


@each_file
def test_a_shipped_study_opens_with_the_command_that_runs_it(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert f"hpo run {file.stem}" in first or f"hpo run search_spaces/{file.name}" in first


@each_file
def test_a_shipped_study_is_valid_and_found_by_its_name(file: Path) -> None:
    assert load_study(file.stem).text() == load_study(file).text()


@each_file
def test_a_shipped_study_reads_back_from_its_own_text(file: Path, tmp_path: Path) -> None:
    spec = load_study(file)
    again = tmp_path / "study.yaml"
    again.write_text(spec.text(), encoding="utf-8")
    read = load_study(again)
    assert read.settings == spec.settings
    assert read.space.sha256() == spec.space.sha256()


@each_file
def test_a_shipped_study_has_no_key_that_is_ignored(file: Path) -> None:
    assert set(read_document(file).values) <= set(load_study(file).values())


@each_file
def test_every_default_of_a_shipped_study_is_a_config_of_its_space(file: Path) -> None:
    space = load_study(file).space
    names = {leaf.name for leaf in space.parameters()}
    for default in space.defaults():
        assert set(default.params) <= names
        assert isinstance(space.resolve(default.params), RunConfig)


@each_file
def test_every_corner_and_chance_of_a_shipped_study_is_a_config(file: Path) -> None:
    space = load_study(file).space
    assert list(space.corners())
    for seed in range(20):
        assert isinstance(space.random(seed), RunConfig)


@each_file
def test_a_shipped_study_is_bounded(file: Path) -> None:
    budget = load_study(file).budget
    assert budget.trials is not None or budget.epochs is not None or budget.time is not None
