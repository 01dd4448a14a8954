"""The package `hpo` itself: what it exports, and that importing it is cheap."""

import subprocess
import sys
from importlib import import_module

import pytest

import hpo

HEAVY = ("torch", "pytorch_lightning", "optuna", "pandas", "sklearn")
CHEAP = """
import os, sys
import hpo
results = sys.argv[1]
from hpo.cli import main
verbs = [["--help"], ["list"], ["best", "tiny"], ["best", "tiny", "--top", "2"],
         ["best", "tiny", "--as", "yaml"], ["show", "tiny", "0", "1"],
         ["show", "tiny", "0", "1", "--diff"], ["spaces"], ["spaces", "smoke"], ["families"],
         ["schema"], ["schema", "best-config"], ["best", "tiny", "--diff"],
         ["best", "tiny", "--diff", "tiny"], ["verify", "tiny", "--level", "0", "--no-stamp"],
         ["list", "--archived"], ["tag", "tiny"], ["note", "tiny"], ["trials", "tiny"],
         ["trials", "tiny", "--csv"], ["trials", "tiny", "--json", "--top", "2"],
         ["best", "nothing"], ["run", "nothing.yaml"], ["run", "--help"]]
os.environ["HPO_RESULTS"] = results
for verb in verbs:
    sys.argv = ["hpo", *verb]
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    heavy = [name for name in {heavy} if name in sys.modules]
    print("##", *verb, code, *heavy)
"""


def test_every_exported_name_is_there_and_nothing_else() -> None:
    assert sorted(hpo.__all__) == hpo.__all__ == dir(hpo)
    assert set(hpo._HOMES) == set(hpo.__all__)
    for name in hpo.__all__:
        assert getattr(hpo, name).__name__ == name
        assert getattr(import_module(hpo._HOMES[name]), name) is getattr(hpo, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'hpo' has no attribute 'Stduy'"):
        _ = hpo.Stduy


def test_verbs_that_only_look_load_neither_torch_nor_optuna(finished) -> None:
    program = CHEAP.replace("{heavy}", repr(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", program, str(finished.results)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("## ")]
    assert len(told) == 24
    wrong = [line for line in told if line[-1] not in ("0", "2")]
    assert wrong == []
    assert [line for line in told if line[-1] == "2"] == [
        ["best", "nothing", "2"],
        ["run", "nothing.yaml", "2"],
    ]
