"""What a user of `hpo verify` meets: words, exit codes, plugins, folds, early stops."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hpo.layout import StudyFolder
from hpo.spec import StudySpec
from hpo.study import run_study
from hpo.verify.verify import Wanted, verify_file
from lightning_modules.plugins import load_plugin
from tests.hpo.verify.test_hashes import flip

OWN = """
    import torch
    import hpo

    @hpo.family("own_net")
    def own_net(input_shape, n_outputs, *, width: int = 8):
        return torch.nn.Sequential(
            torch.nn.Linear(input_shape[0], width), torch.nn.ReLU(),
            torch.nn.Linear(width, n_outputs),
        )
"""


def test_each_check_has_its_line_and_the_levels_their_signs(cli, copied: StudyFolder) -> None:
    said = cli("verify", copied.path)
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0].startswith("mlp 1×")
    assert [line.split()[1] for line in lines[1:12]] == [
        "schema",
        "config",
        "study",
        "packages",
        "checkpoint",
        "record",
        "best",
        "settings",
        "data",
        "preparation",
        "score",
    ]
    assert lines[-3] == "schema ✓  hashes ✓  data ✓  checkpoint re-scored ✓"
    assert lines[-2] == "verified: levels 0, 1"
    assert lines[-1].startswith("on the machine class that trained it: ")
    assert said.err.splitlines() == [
        "loading torch…",
        f"next: hpo verify {copied.path} --full     train it again, and with fresh seeds",
    ]


def test_a_difference_exits_4_and_names_the_first(cli, copied: StudyFolder) -> None:
    best = json.loads(copied.best_config.read_text())
    flip(copied.path / best["checkpoint"]["path"], 500)
    flip(copied.study_file)
    said = cli("verify", copied.path)
    assert said.code == 4
    (first,) = said.err.splitlines()[1:]
    assert first.startswith(f"{copied.best_config}: study file: study.yaml is another file: expect")
    assert first.endswith("; restore it from a copy")
    assert "checkpoint  ✗" in said.out
    assert "re-scored" not in said.out  # nothing is built on what is not what it says
    assert "schema ✓  hashes ✗" in said.out
    as_json = cli("verify", copied.path, "--json", "--level", 0)
    found = json.loads(as_json.out)
    assert (as_json.code, found["ok"], found["exit_code"]) == (4, False, 4)
    assert found["result"]["first_difference"]["name"] == "study file"


def test_what_cannot_be_checked_exits_2_with_what_would_be_right(
    cli, copied: StudyFolder, tmp_path: Path
) -> None:
    alone = tmp_path / "b.json"
    shutil.copy(copied.best_config, alone)
    said = cli("verify", alone)
    assert said.code == 2
    assert "as recorded, as far as it could be checked: levels 0, 1" in said.out
    first, second = said.err.splitlines()[1:]
    hint = "keep best_config.json in its study's folder, or verify the study by its name"
    assert first.startswith(f"{alone}: not checked: study file (study.yaml is not there), packages")
    assert first.endswith(f"; {hint}")
    assert "--level 2 trains it again, and needs none" in second
    assert any(line.split()[1:3] == ["data", "✓"] for line in said.out.splitlines())  # of iris


def test_options_that_contradict_each_other_are_refused(cli, copied: StudyFolder) -> None:
    for options, what in {
        ("--level", 1, "--full"): "--level: 1 and --full exclude each other; leave one out",
        ("--level", 2, "--seeds", 5): "--level: 2 and --seeds exclude each other; leave one out",
        ("--level", 7): "--level: there is no level 7",
        ("--set", "seed=3"): "--set seed=3: changes what was trained; only the place of the data",
    }.items():
        before = copied.best_config.read_bytes()
        said = cli("verify", copied.path, *options)
        assert (said.code, said.out) == (2, "")
        assert what in said.err
        assert copied.best_config.read_bytes() == before


def test_a_stamp_that_cannot_be_written_is_a_warning(copied: StudyFolder, monkeypatch) -> None:
    from hpo.verify import verify

    def refuse(*arguments: object, **more: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(verify, "revise_best", refuse)  # root may write anywhere
    said: list[str] = []
    done = verify_file(copied.best_config, Wanted(level=0, say=said.append))
    assert done.exit_code == 0
    assert said == ["warning: the stamp was not written: [Errno 13] Permission denied"]


@pytest.fixture
def plugged(tmp_path: Path, make_spec: Callable[..., StudySpec], registries: None) -> Path:
    """A study with a family of the user's own, and the file of it."""
    (tmp_path / "own.py").write_text(dedent(OWN))
    load_plugin(str(tmp_path / "own.py"))
    model = {"family": "own_net", "width": {"low": 4, "high": 8}}
    spec = make_spec("budget.trials=1", model=model, name="plugged")
    run_study(spec, tmp_path / "results")
    return tmp_path


def test_the_users_own_code_is_part_of_the_proof(plugged: Path, cli) -> None:
    study, own = plugged / "results" / "plugged", plugged / "own.py"
    said = cli("verify", study, "--plugin", own)
    assert said.code == 0
    assert "plugin own.py  ✓" in said.out
    best = json.loads((study / "best_config.json").read_text())
    assert best["reproduce"]["verify"] == "hpo verify best_config.json --plugin own.py"


def test_code_that_is_not_named_or_was_changed_is_said(
    plugged: Path, cli_process: Callable[..., Any]
) -> None:
    study = "results/plugged"
    said = cli_process("verify", study, "--level", 0, folder=plugged)
    assert said.code == 2
    assert "not checked: plugin own.py (its code was not named)" in said.err
    assert said.err.rstrip().splitlines()[-1].endswith("own.py")
    assert "add --plugin " in said.err
    own = plugged / "own.py"
    own.write_text(own.read_text() + "# a change\n")
    said = cli_process("verify", study, "--level", 0, "--plugin", "own.py", folder=plugged)
    assert said.code == 4
    assert "plugin own.py: its code is another: expected " in said.err


@pytest.mark.parametrize(
    "settings",
    [
        {"data": {"source": "iris", "folds": 2}},
        {"trainer": {"max_epochs": 30, "early_stopping": {"patience": 1}, "batch_size": 64}},
        {
            "task": {"kind": "regression"},
            "data": {"source": "diabetes"},
            "trainer": {"max_epochs": 2, "averaging": {"name": "ema"}, "batch_size": 64},
        },
    ],
    ids=["folds", "early stopping", "averaged weights"],
)
def test_other_kinds_of_runs_are_proved_too(
    tmp_path: Path, make_spec: Callable[..., StudySpec], settings: dict[str, Any]
) -> None:
    spec = make_spec("budget.trials=1", **settings)
    folder = run_study(spec, tmp_path).folder
    done = verify_file(folder.best_config, Wanted(level=2, fresh=False))
    assert [check for check in done.checks if check.outcome != "equal"] == []
    assert done.levels == [0, 1, 2]
