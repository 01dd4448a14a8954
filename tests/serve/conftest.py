"""A server of a model made by hand, as a process of its own, and a client that asks it."""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.programs import Program, Programs
from tests.serve import models

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("onnx", reason="needs the extra export")
PATIENCE_S = 60
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        return self.json["error"]


class Server:
    """A process that serves, and one connection to it for each question."""

    def __init__(self, process: Program) -> None:
        self.process = process
        until = time.monotonic() + PATIENCE_S
        while not process.out and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert process.out, process.err
        self.address = process.out.strip().rstrip("/")
        self.port = int(self.address.rpartition(":")[2])

    def ask(self, method: str, path: str, body: Any = None, headers: Headers | None = None) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Got(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", path, headers=named)

    def predict(self, body: Any, content_type: str = "application/json", **headers: str) -> Got:
        if not isinstance(body, bytes | str):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/predict", data, {"content-type": content_type, **named})

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        from prometheus_client.parser import text_string_to_metric_families

        text = self.get("/metrics").body.decode()
        samples = [
            sample
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert samples or labels, f"no metric {name}"
        return sum(sample.value for sample in samples)

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it has logged: every line is JSON."""
        return [json.loads(line) for line in self.process.err.splitlines()]

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < until, self.process.err[-2000:]
            assert self.process.poll() is None, self.process.err[-2000:]
            time.sleep(0.02)

    @property
    def memory(self) -> int:
        """Bytes in memory, those of its workers too."""
        process = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (process, *process.children()))

    def end(self, number: int = signal.SIGTERM) -> int:
        os.kill(self.process.pid, number)
        return self.process.wait(PATIENCE_S)


Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model file of every kind of rows; copy what you change."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("table", "numbers", "images", "texts", "sequences", "dates"):
        getattr(models, kind)(folder / f"{kind}.onnx")
    return folder


@pytest.fixture(scope="module")
def serve(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Return a function that starts a server; all end with the tests of the file."""
    with ExitStack() as running:

        def start(model: Path, *options: object, environment: Headers | None = None) -> Server:
            plain = {name: value for name, value in os.environ.items() if name != "HPO_TOKEN"}
            process = programs.start(
                "serve",
                model,
                "--port",
                0,
                *options,
                folder=tmp_path_factory.getbasetemp(),
                environment={**plain, **(environment or {})},
            )
            return Server(running.enter_context(process))

        yield start


@pytest.fixture(scope="module")
def people(serve: Serve, files: Path) -> Server:
    """A server of the table."""
    return serve(files / "table.onnx")
