import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from hpo import environment
from hpo.environment import NAMED, describe, freeze, git_state


def test_freeze_lists_every_distribution_once_sorted() -> None:
    lines = freeze().splitlines()
    assert lines == sorted(lines, key=str.lower)
    assert len(lines) == len(set(lines))
    assert any(line.startswith("optuna==5.") for line in lines)
    assert all(line.count("==") == 1 for line in lines)


def test_the_environment_names_the_packages_that_decide() -> None:
    found = describe(device="cpu", threads=2, freeze_text="a==1\n", git=None)
    assert set(NAMED) - set(found["packages"]) <= {"hpo"}  # a checkout need not be installed
    assert (found["device"], found["threads"]) == ("cpu", 2)
    assert found["freeze_sha256"] == hashlib.sha256(b"a==1\n").hexdigest()
    json.dumps(found, allow_nan=False)


def test_outside_of_a_repository_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() is None


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state() is None


def test_in_a_repository_the_commit_is_named_and_whether_files_were_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.txt"
    file.write_text("one")
    me = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "a.txt"], [*me, "commit", "-qm", "one"]):
        subprocess.run(["git", *command], check=True)
    clean = git_state()
    file.write_text("two")
    dirty = git_state()
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    assert dirty == {**clean, "dirty": True}


def test_the_instructions_by_which_kernels_are_chosen_are_named(monkeypatch) -> None:
    known = {"flags": "fpu avx2 sse2 fma avx512f avx", "Features": "fp asimd sve aes bf16"}
    for key, expected in {
        "flags": ["avx", "avx2", "avx512f", "fma"],
        "Features": ["asimd", "bf16", "sve"],
    }.items():
        found = {key: known[key]}
        monkeypatch.setattr(environment, "_cpuinfo", found.get)
        assert environment.cpu_features() == expected
    monkeypatch.setattr(environment, "_cpuinfo", {}.get)  # macOS does not say
    assert environment.cpu_features() is None
