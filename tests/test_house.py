"""The rules of the house that a tool can hold."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("hpo", "lightning_modules", "search_spaces", "examples")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
GRAB_BAGS = {"util", "utils", "helper", "helpers", "common", "base", "misc", "tools"}


def test_the_packages_are_found() -> None:
    assert len(SOURCES) > 60


def test_lower_never_imports_higher() -> None:
    # In a process of its own: the linter silences every logger that there is in this one.
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    command = [sys.executable, "-c", lint, "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


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
