"""The rules of the house that a tool can hold."""

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
PACKAGES = ("hpo", "lightning_modules", "search_spaces", "examples")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
GRAB_BAGS = {"util", "utils", "helper", "helpers", "common", "base", "misc", "tools"}


def test_the_packages_are_found() -> None:
    assert len(SOURCES) > 60


def test_lower_never_imports_higher(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert code == 0, capsys.readouterr().out


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_module_is_a_grab_bag() -> None:
    names = {path: {path.stem, path.parent.name} for path in SOURCES}
    assert [path for path, parts in names.items() if parts & GRAB_BAGS] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path
        for path in SOURCES
        if path.read_text(encoding="utf-8").strip() and not path.read_text().startswith('"""')
    ]
    assert silent == []
