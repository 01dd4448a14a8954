"""A new model takes the place of the old one without a request lost; a bad one does not."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_modules.durable import file_sha256
from tests.conftest import Command
from tests.programs import Programs
from tests.serve import models
from tests.serve.conftest import Serve

ROW = {"age": 41, "income": 20_000, "town": "Bonn"}
RELOADS = 10
CLIENT = """
import http.client, json, pathlib, sys
port, stop = int(sys.argv[1]), pathlib.Path(sys.argv[2])
body = json.dumps({"rows": [{"age": 41, "income": 20000, "town": "Bonn"}] * 3})
asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
known, n, wrong = set(), 0, []
while not stop.exists():
    asked.request("POST", "/predict", body, {"content-type": "application/json"})
    got = asked.getresponse()
    text = got.read()
    n += 1
    if got.status == 200 and len(json.loads(text)["predictions"]) == 3:
        known.add(json.loads(text)["model"])
    else:
        wrong.append([got.status, text.decode()[:200]])
print(json.dumps({"n": n, "models": sorted(known), "wrong": wrong}))
"""


@pytest.fixture
def model(files: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(files / "table.onnx", tmp_path / "model.onnx"))


@pytest.mark.parametrize("workers", [1, 2])
def test_ten_reloads_under_load_lose_no_request(
    serve: Serve, programs: Programs, model: Path, tmp_path: Path, workers: int
) -> None:
    import json

    server = serve(model, "--workers", workers, "--no-access-log")
    stop = tmp_path / "stop"
    clients = [programs.start(server.port, stop, folder=tmp_path, code=CLIENT) for _ in range(3)]
    known = {file_sha256(model)}
    for i in range(RELOADS):
        models.table(model, weight=2.0 + i)
        known.add(file_sha256(model))
        taken = (i + 1) * workers
        server.wait_for(lambda taken=taken: len(server.events("reload")) == taken)
    stop.touch()
    for client in clients:
        with client:
            assert client.wait() == 0, client.err
            told = json.loads(client.out)
            assert told["wrong"] == []
            assert told["n"] > RELOADS
            assert {*told["models"]} <= known
            assert len(told["models"]) > 2
    assert server.metric("hpo_reloads_total", result="taken") == RELOADS * workers
    assert server.metric("hpo_model_workers", sha256=file_sha256(model)) == workers


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def other_columns(path: Path) -> None:
    models.numbers(path)


def other_classes(path: Path) -> None:
    models.table(path, classes=["no", "perhaps"])


def other_kind(path: Path) -> None:
    models.dates(path)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


BAD = {
    half: ("is damaged", "is no model file"),
    one_bit: ("is damaged",),
    nothing: ("is no model file",),
    other_columns: ("another task: its classes are different",),
    other_classes: ("another task: its classes are different",),
    other_kind: ("another task: its task is different",),
}


@pytest.mark.parametrize(("spoil", "said"), BAD.items(), ids=[spoil.__name__ for spoil in BAD])
def test_a_file_that_will_not_do_is_refused_and_the_old_model_goes_on(
    serve: Serve, model: Path, spoil: Callable[[Path], None], said: tuple[str, ...]
) -> None:
    server = serve(model)
    before = server.predict({"rows": [ROW]}).json
    spoiled = Path(shutil.copy(model, model.with_suffix(".new")))
    spoil(spoiled)
    spoiled.replace(model)
    server.wait_for(lambda: bool(server.events("reload refused")))
    (line,) = server.events("reload refused")
    assert any(words in line["error"] for words in said)
    assert line["still"] == before["model"]
    assert server.predict({"rows": [ROW]}).json == before
    assert server.metric("hpo_reloads_total", result="refused") == 1
    assert server.get("/ready").status == 200
    models.table(model, weight=7.0)
    server.wait_for(lambda: bool(server.events("reload")))
    assert server.predict({"rows": [ROW]}).json["model"] == file_sha256(model)


def test_the_same_task_trained_again_may_differ_in_all_else(serve: Serve, model: Path) -> None:
    server = serve(model)
    models.table(model, weight=3.0, name="another-study", config_sha256="1" * 64)
    server.wait_for(lambda: bool(server.events("reload")))
    assert server.get("/metadata").json["name"] == "another-study"
    assert "another-study" in server.get("/").body.decode()
    assert server.get("/openapi.json").json["info"]["title"] == "another-study"


def test_a_signal_makes_it_look_at_once(serve: Serve, model: Path) -> None:
    server = serve(model)
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for(lambda: bool(server.events("reload")))
    assert "is the one that is served" in server.events("reload")[0]["note"]
    model.unlink()
    os.kill(server.process.pid, signal.SIGHUP)
    server.wait_for(lambda: bool(server.events("reload refused")))
    assert server.predict({"rows": [ROW]}).status == 200


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_ends_it_after_what_runs(
    serve: Serve, tmp_path: Path, workers: int, number: int, code: int
) -> None:
    server = serve(models.table(tmp_path / "m.onnx", slow=3000), "--workers", workers)
    answers: list[int] = []
    began = threading.Event()

    def ask() -> None:
        began.set()
        answers.append(server.predict({"rows": [ROW] * 5000}).status)

    asking = threading.Thread(target=ask)
    asking.start()
    began.wait()
    server.wait_for(lambda: server.metric("hpo_model_workers") == workers)
    assert server.end(number) == code
    asking.join()
    assert answers == [200]


def test_a_worker_that_dies_is_replaced(serve: Serve, files: Path) -> None:
    import psutil

    server = serve(files / "table.onnx", "--workers", 2)
    for _ in range(4):
        assert server.predict({"rows": [ROW]}).status == 200
    max(psutil.Process(server.process.pid).children(), key=lambda one: one.pid).kill()
    server.wait_for(lambda: bool(server.events("worker died")))
    server.wait_for(lambda: len(server.events("serving")) == 3)
    server.wait_for(lambda: server.metric("hpo_ready_workers") == 2)
    assert server.predict({"rows": [ROW]}).status == 200
    assert server.metric("hpo_rows_total") == 5, "what the dead one counted is kept"


@pytest.mark.slow
def test_a_worker_that_cannot_begin_anew_takes_no_other_with_it(serve: Serve, model: Path) -> None:
    import psutil

    server = serve(model, "--workers", 2)
    whole = model.read_bytes()
    half(model)
    server.wait_for(lambda: len(server.events("reload refused")) == 2)
    max(psutil.Process(server.process.pid).children(), key=lambda one: one.pid).kill()
    server.wait_for(lambda: len(server.events("worker cannot begin")) == 4)
    assert "model file" in server.events("worker cannot begin")[0]["error"]
    server.wait_for(lambda: len(server.events("worker died")) == 5)
    assert {server.predict({"rows": [ROW]}).status for _ in range(10)} == {200}
    model.write_bytes(whole)
    server.wait_for(lambda: server.metric("hpo_ready_workers") == 2)


def test_workers_end_with_the_process_that_began_them(serve: Serve, files: Path) -> None:
    import psutil

    server = serve(files / "table.onnx", "--workers", 2)
    workers = psutil.Process(server.process.pid).children()
    server.process.kill()
    psutil.wait_procs(workers, timeout=60)
    assert not any(worker.is_running() for worker in workers)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("spoil", [half, nothing])
def test_a_server_of_a_bad_file_does_not_start(
    cli_process: Command, model: Path, tmp_path: Path, workers: int, spoil: Callable[[Path], None]
) -> None:
    spoil(model)
    got = cli_process("serve", model, "--port", 0, "--workers", workers, folder=tmp_path)
    assert got.code == 2
    assert "model file" in got.err or "damaged" in got.err
    assert got.err.count("model.onnx: ") == 1
    assert got.err.startswith(str(model))
    assert got.out == ""
