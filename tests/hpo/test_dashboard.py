import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hpo.dashboard import Dashboard
from hpo.errors import EnvironmentFault, UsageError


def ask(
    address: str, method: str = "GET", path: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path or place.path, headers=sent)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def results(finished, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dash {a} 50% #1") / "a 'b' c?"
    shutil.copytree(finished.results, folder)
    return folder


@pytest.fixture(scope="module")
def board(results: Path) -> Iterator[Dashboard]:
    board = Dashboard(results, storage=None, port=0)
    yield board
    board.close()


def test_both_addresses_answer_on_this_machine_only(board: Dashboard) -> None:
    for address in (board.addresses.optuna, board.addresses.tensorboard):
        assert urlsplit(address).hostname in ("127.0.0.1", "localhost")
        assert ask(address)[0] == 200


def test_the_dashboard_shows_every_trial_of_the_study(board: Dashboard, finished) -> None:
    status, _, body = ask(board.addresses.optuna, path="/api/studies")
    assert status == 200
    (study,) = json.loads(body)["study_summaries"]
    assert study["study_name"] == "tiny"
    _, _, body = ask(board.addresses.optuna, path=f"/api/studies/{study['study_id']}?after=0")
    states = [trial["state"] for trial in json.loads(body)["trials"]]
    words = {"complete": "Complete", "pruned": "Pruned", "failed": "Fail"}
    assert states == [words[record.state] for record in finished.records]


def test_tensorboard_finds_the_study(board: Dashboard) -> None:
    _, _, body = ask(board.addresses.tensorboard, path="/data/runs")
    assert any(run.startswith("tiny/t0000-mlp-adamw") for run in json.loads(body))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""]
)
def test_a_foreign_host_is_refused(board: Dashboard, host: str) -> None:
    status, _, body = ask(board.addresses.optuna, Host=host)
    assert (status, body) == (403, b"this dashboard answers to 127.0.0.1 only\n")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1.evil.example"])
def test_a_page_of_another_site_is_refused(board: Dashboard, origin: str) -> None:
    assert ask(board.addresses.optuna, path="/api/studies", Origin=origin)[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:1", "localhost"])
def test_our_own_pages_are_served(board: Dashboard, host: str) -> None:
    origin = "http://127.0.0.1:1"
    assert ask(board.addresses.optuna, path="/api/studies", Host=host, Origin=origin)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/api/studies", "/api/studies/1", "/api/trials/1/tell", "/api/studies/1/note", "/"]
)
def test_nothing_can_be_written(board: Dashboard, results: Path, method: str, path: str) -> None:
    before = (results / "storage.sqlite").read_bytes()
    status, _, body = ask(board.addresses.optuna, method, path)
    assert (status, body) == (405, b"this dashboard is for looking only\n")
    assert (results / "storage.sqlite").read_bytes() == before


def test_a_head_request_is_a_look(board: Dashboard) -> None:
    assert ask(board.addresses.optuna, "HEAD")[0] in (200, 405)


def test_pages_cannot_be_framed_or_misread(board: Dashboard) -> None:
    _, headers, _ = ask(board.addresses.optuna)
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_looking_changes_no_byte_of_the_storage(results: Path, board: Dashboard, finished) -> None:
    for path in ("/api/studies", "/api/studies/1?after=0", "/dashboard/studies/1", "/api/meta"):
        ask(board.addresses.optuna, path=path)
    original = (finished.results / "storage.sqlite").read_bytes()
    assert (results / "storage.sqlite").read_bytes() == original


def test_results_without_a_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"empty: holds no study yet; hpo run quickstart"):
        Dashboard(tmp_path / "empty", storage=None, port=0)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said_and_nothing_stays_open(results: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = rf"^dashboard: port {port}: Address already in use; choose another with --port$"
        with pytest.raises(EnvironmentFault, match=message):
            Dashboard(results, storage=None, port=port)


def test_a_closed_dashboard_answers_no_more(results: Path) -> None:
    board = Dashboard(results, storage=None, port=0)
    board.close()
    with pytest.raises(ConnectionRefusedError):
        ask(board.addresses.optuna)


def test_the_command_serves_until_ctrl_c(results: Path) -> None:
    program = "import sys; from hpo.cli import main; main()"
    command = [sys.executable, "-c", program, "dashboard", "--port", "0", "--results", str(results)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as served:
        try:
            assert served.stdout is not None
            addresses = [served.stdout.readline().split()[0] for _ in range(2)]
            assert [ask(address)[0] for address in addresses] == [200, 200]
            served.send_signal(signal.SIGINT)
            _, err = served.communicate(timeout=20)
        finally:
            served.kill()
    assert (served.returncode, err) == (0, "Ctrl-C ends\n")
