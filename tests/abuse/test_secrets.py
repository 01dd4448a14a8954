"""Row A4 of the abuse matrix: the password of a storage is in no output, file or process list."""

import logging
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpo.errors import EnvironmentFault
from hpo.spec import load_study
from hpo.storage.urls import redacted
from hpo.study import run_study
from tests.programs import Programs

Call = Callable[..., Any]
HPO = [sys.executable, "-c", "from hpo.cli import main; main()"]
SECRET = "s3ntinel"
PASSWORDS = {
    "plain": f"{SECRET}",
    "braces": f"{SECRET}{{x}}{{0}}{{{SECRET}",
    "per cent": f"{SECRET}%41%zz%{SECRET}",
    "at": f"{SECRET}@{SECRET}@",
    "all": f"{SECRET}{{%@:/?#'\"&={SECRET}",
}
FORMS = {
    "user": "postgresql+psycopg://me:{}@127.0.0.1:{}/db",
    "password=": "postgresql+psycopg://127.0.0.1:{1}/db?user=me&password={0}",
    "sslpassword=": "postgresql+psycopg://me@127.0.0.1:{1}/db?sslpassword={0}",
}


@pytest.fixture(scope="module")
def port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def written_below(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = "\n".join(map(str, files))
    return names + "".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
def test_a4_a_server_that_is_not_there_is_named_without_the_password(
    form: str, password: str, port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    url = form.format(password, port)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(EnvironmentFault) as caught:
        run_study(load_study("smoke"), tmp_path, storage=url)
    said = "".join(traceback.format_exception(caught.value)) + str(caught.value) + caplog.text
    assert f"postgresql+psycopg://127.0.0.1:{port}/db: " in said
    assert SECRET not in said + repr(caught.value)
    assert SECRET not in written_below(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://host/db?password=a@{SECRET}",
        f"postgresql://host:5432/db?password=a@{SECRET}",
        f"postgresql://me:a@{SECRET}@host/db",
        f"postgresql://me:{SECRET}?{SECRET}@host/db",
        f"postgresql://me:{SECRET}/{SECRET}@host/db?sslpassword={SECRET}@x",
        f"me:{SECRET}@host",
        f"postgresql:/me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@host:{SECRET}/db",
    ],
)
def test_a4_no_part_of_a_password_is_shown_however_the_url_is_written(url: str) -> None:
    assert SECRET not in redacted(url)


@pytest.mark.parametrize("verb", [["run", "smoke", "--workers", "1"], ["doctor"], ["run", "-h"]])
def test_a4_a_command_that_cannot_reach_its_storage_keeps_the_password_to_itself(
    verb: list[str], port: int, copied: Any, tmp_path: Path, programs: Programs
) -> None:
    """A study is there, whose trials the storage should know."""
    url = FORMS["user"].format(PASSWORDS["all"], port)
    results = ["--results", str(copied.path.parent)] if "-h" not in verb else []
    given = {**os.environ, "HPO_STORAGE": url}
    with programs.start(*verb, *results, folder=tmp_path, environment=given) as process:
        assert process.wait() == (0 if "-h" in verb else 5), process.err
        said = process.out + process.err
    assert SECRET not in said
    assert SECRET not in written_below(tmp_path)
    if "-h" not in verb:
        assert f"postgresql+psycopg://127.0.0.1:{port}/db" in said


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_a4_no_process_of_a_study_inherits_its_storage_or_names_it(tmp_path: Path) -> None:
    """The supervisor was given it; children, and the server that forks them, have no need of it."""
    events = tmp_path / "events"
    url = f"sqlite:///{tmp_path}/{SECRET}.sqlite"
    endless = ["--trials", "100000", "--workers", "2", "--quiet", "--events", str(events)]
    process = subprocess.Popen(
        [*HPO, "run", "smoke", "--results", str(tmp_path / "results"), *endless],
        env={**os.environ, "HPO_STORAGE": url},
        stdout=subprocess.DEVNULL,
    )
    try:
        while not (events.exists() and "trial_finished" in events.read_text()):
            assert process.poll() is None
            time.sleep(0.01)  # polls for an event; nothing is timed
        family = psutil.Process(process.pid).children(recursive=True)
        environments = [text for child in family if (text := environment_of(child)) is not None]
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False)
    finally:
        process.kill()
        process.wait()
    assert len(environments) >= 2, "there are a server and a child, at least"
    assert not [text for text in environments if "HPO_STORAGE" in text or SECRET in text]
    assert SECRET not in lines.stdout


def environment_of(process: psutil.Process) -> str | None:
    try:
        return Path(f"/proc/{process.pid}/environ").read_text()
    except OSError:  # it has just ended
        return None
