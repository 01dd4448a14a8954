"""Real processes for tests, each a fork of one that has loaded everything: they start at once."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import IO, Any

HPO = "from hpo.cli import main; main()"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str


class Program:
    """A process, as far as tests look at one. Used in ``with``, it is gone at the end.

    Args:
        server: what forks it.
        order: code, arguments, folder, environment, and whether it leads a group of its own.
    """

    def __init__(self, server: socket.socket, order: Mapping[str, Any]) -> None:
        self._code: int | None = None
        self._out, self._err = _temporary(), _temporary()
        ours, theirs = os.pipe()
        with _temporary() as told, open(os.devnull, encoding="utf-8") as nothing:
            told.write(json.dumps(order))
            told.seek(0)
            files = (told.fileno(), theirs, nothing.fileno(), self._out.fileno())
            socket.send_fds(server, [b"."], [*files, self._err.fileno()])
        os.close(theirs)
        self._reply = os.fdopen(ours)
        self.pid = int(self._reply.readline())

    def poll(self) -> int | None:
        """Return the exit code, less than 0 if a signal ended it; None while it runs."""
        if self._code is None and select([self._reply], [], [], 0)[0]:
            self._code = int(self._reply.readline())
        return self._code

    def wait(self, timeout_s: float = 120) -> int:
        """Return the exit code.

        Raises:
            TimeoutError: It still runs.
        """
        if self._code is None and not select([self._reply], [], [], timeout_s)[0]:
            raise TimeoutError(f"process {self.pid} still runs; it said: {self.err}")
        code = self.poll()
        assert code is not None
        return code

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it now."""
        self.send(signal.SIGKILL)
        self.wait()

    @property
    def out(self) -> str:
        """What it has written to standard output so far."""
        return _text(self._out)

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return _text(self._err)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for file in (self._out, self._err, self._reply):
            file.close()


class Programs:
    """Starts programs."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    def start(
        self,
        *arguments: object,
        folder: Path,
        code: str = HPO,
        group: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Start Python code, or ``hpo``, in a folder."""
        return Program(
            self._server,
            {
                "code": code,
                "arguments": [str(argument) for argument in arguments],
                "folder": str(folder),
                "environment": dict(os.environ if environment is None else environment),
                "group": group,
            },
        )


@contextmanager
def programs() -> Iterator[Programs]:
    """Start the process that forks programs; it ends when this one does."""
    ours, theirs = socket.socketpair()
    roots = os.pathsep.join(path for path in (str(ROOT), *sys.path) if path)
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm.py")), str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONPATH": roots},
    )
    theirs.close()
    try:
        yield Programs(ours)
    finally:
        ours.close()
        server.wait()


def _temporary() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _text(file: IO[str]) -> str:
    """Read a file whose place is shared with who writes it."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode()
