"""A server on one core and wrk on another: what the programs of this package ask it with."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.export.export import Wanted, export
from hpo.logs import log_to
from lightning_modules.config import RunConfig
from lightning_modules.train import train

SCRIPT = """
wrk.method = "POST"
local file = io.open("{body}", "rb")
wrk.body = file:read("*all")
file:close()
wrk.headers["content-type"] = "{content_type}"
done = function(summary, latency, requests)
  local wrong = summary.errors
  io.write(string.format(
    '\\n{{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "refused": %d, "lost": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6,
    latency:percentile(99) / 1e6, wrong.status,
    wrong.connect + wrong.read + wrong.write + wrong.timeout))
end
"""


@dataclass(frozen=True, kw_only=True)
class Body:
    """What is sent, again and again."""

    content: bytes
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came of asking for a while."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int
    """Answers that were no."""
    lost: int
    """Requests without an answer."""


class Server:
    """A server that runs."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process, self.address = process, address

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.address}metrics") as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


@contextmanager
def serving(model: Path, *options: str, core: int | None = None) -> Iterator[Server]:
    """Yield a server of a model, on one core alone if there is one named."""
    command = [sys.executable, "-c", "from hpo.cli import main; main()", "serve", str(model)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--no-access-log", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"hpo serve {model} ended with {process.wait()}")
        if core is not None:
            pin(process.pid, core)
        yield Server(process, address)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def pin(pid: int, core: int) -> None:
    """Keep a process and its threads on one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def ask(
    server: Server, body: Body, *, seconds: float, connections: int, core: int | None = None
) -> Load:
    """Ask for some seconds over connections that are kept, with wrk.

    Raises:
        RuntimeError: if wrk is not installed, or fails.
    """
    if shutil.which("wrk") is None:
        raise RuntimeError("needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        content, script = Path(folder) / "body", Path(folder) / "ask.lua"
        content.write_bytes(body.content)
        script.write_text(SCRIPT.format(body=content, content_type=body.content_type))
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        how = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        command = [*pinned, "wrk", *how, "-s", str(script), f"{server.address}predict"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return Load(**told)


def exported(sections: dict[str, Any], folder: Path, *, epochs: int = 1) -> Path:
    """Train a config for a moment and return its model file."""
    trainer = {"max_epochs": epochs, "accelerator": "cpu"}
    config = RunConfig.model_validate({"trainer": trainer, **sections})
    folder.mkdir()
    with log_to(None):
        train(config, folder / "run")
        path = sections["data"].get("path")
        sets = () if path is None else (f"data.path={path}",)
        wanted = Wanted(form="onnx", output=folder / "model.onnx", sets=sets)
        done = export(str(folder / "run"), wanted, results=folder, say=lambda _: None)
    return done.file


def two_cores() -> Sequence[int]:
    """Return a core for the server and one for who asks; the same where there is one only."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
