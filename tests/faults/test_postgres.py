"""Row F21: a PostgreSQL server that stops in the middle of a study loses nothing of it.

A private cluster on the loopback interface, run by an unprivileged user with the programs of
Debian's package `postgresql`; skipped where they, or psycopg (extra `postgres`), are missing.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from hpo.spec import load_study
from hpo.study import run_study
from tests.faults.doing import Doing

PASSWORD = "s3cr3t{x}%@'"
URL_PASSWORD = "s3cr3t%7Bx%7D%25%40%27"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="needs Debian's package postgresql"),
]


class Server:
    """A cluster of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = folder / "pw"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (folder, secret):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self._run("initdb", "-A", "scram-sha-256", "-U", "hpo", f"--pwfile={secret}")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://hpo:{URL_PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-o", options, "-l", log, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(PROGRAMS[-1].with_name(program)), "-D", str(self._folder / "data")]
        subprocess.run(
            [*command, *arguments],
            user="nobody" if os.getuid() == 0 else None,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path is at most 107 characters
    server = Server(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


def test_f21_a_server_that_stops_and_comes_back_loses_nothing_and_runs_nothing_twice(
    tmp_path: Path, server: Server
) -> None:
    study = {
        "name": "tiny",
        "task": {"kind": "multiclass"},
        "data": {"source": "iris"},
        "model": {"family": "mlp", "n_layers": 1, "width": {"low": 4, "high": 32}},
        "trainer": {"max_epochs": 2, "batch_size": 32},
        "search": {"sampler": "random", "pruner": "none", "seed": 1},
        "budget": {"trials": 12},
    }
    stopped: list[float] = []

    def outage(number: int) -> None:
        if number == 2:
            server.stop()
            stopped.append(time.monotonic())
        elif number == 8:  # six trials ended while there was no server
            server.start()

    doing = Doing(outage)
    outcome = run_study(load_study(study), tmp_path, storage=server.url, observers=[doing])
    assert stopped
    assert outcome.end.why == "budget"
    assert len(doing.warnings) == 1
    assert f"127.0.0.1:{server.port}/postgres: " in doing.warnings[0]
    storage = RDBStorage(server.url)
    trials = optuna.load_study(study_name="tiny", storage=storage).get_trials()
    storage.remove_session()
    storage.engine.dispose()
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [(t.value, t.params) for t in trials] == [
        (r.value, r.params) for r in outcome.end.records
    ]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cr3t" not in written  # A4
    assert not any("s3cr3t" in text for text in doing.warnings)
