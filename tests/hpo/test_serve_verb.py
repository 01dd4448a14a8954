"""The verb: what it needs, what it refuses, and that a server is small."""

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.serve import models

pytest.importorskip("onnx", reason="needs the extra export")
SMALL = """
import sys
from pathlib import Path
from hpo.serve.log import Log
from hpo.serve.options import Options
from hpo.serve.service import Service
from hpo.serve.site import make_site
from hpo.serve.tally import Tally
from hpo.serve.model import load_model
import hpo.serve.worker, hpo.serve.processes, hpo.verbs.serve
tally, model = Tally(), Path(sys.argv[1])
service = Service(Options(model=model), tally, tally.parts[0], Log())
service.serve(load_model(model, threads=1))
make_site(service)
print(sorted({"torch", "sklearn", "optuna", "pytorch_lightning", "onnx"} & {*sys.modules}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.table(tmp_path_factory.mktemp("model") / "model.onnx")


def test_a_server_loads_nothing_of_what_trains(model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL, model], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("missing", ["fastapi", "onnxruntime"])
def test_a_missing_extra_is_said_with_the_command_that_installs_it(
    cli: Command, model: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    find = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        return None if name == missing else find(name, package)

    monkeypatch.setattr("hpo.extras.find_spec", found)
    got = cli("serve", model)
    assert got.code == 5
    assert f"needs {missing}" in got.err
    assert "pip install 'hpo[serve]'" in got.err


def test_other_files_are_not_served(cli: Command, tmp_path: Path) -> None:
    for name in ("model.pt2", "best_config.json", "run"):
        got = cli("serve", tmp_path / name)
        assert got.code == 2
        assert "hpo export" in got.err
    got = cli("serve", tmp_path / "none.onnx", "--port", 0)
    assert got.code == 2
    assert "cannot be read" in got.err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken_is_said(cli: Command, model: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        got = cli("serve", model, "--port", port, "--workers", workers)
    assert got.code == 5
    assert f"port {port}" in got.err


def test_an_address_of_another_machine_is_said(
    cli: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_TOKEN", "a-token-of-many-letters")
    got = cli("serve", model, "--host", "192.0.2.1", "--port", 0)
    assert got.code == 5
    assert "no address of this machine" in got.err
