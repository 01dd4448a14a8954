"""Serve Optuna's dashboard and TensorBoard on loopback, for looking only."""

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.storages import RDBStorage
from tensorboard import default, program

from hpo.errors import EnvironmentFault, UsageError
from hpo.storage.writer import sqlite_url

HOST = "127.0.0.1"
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the two viewers are."""

    optuna: str
    tensorboard: str


class Dashboard:
    """Both viewers, until `close`."""

    def __init__(self, results: Path, *, storage: str | None, port: int) -> None:
        """Start them.

        Raises:
            UsageError: if there is no study yet.
            EnvironmentFault: if the port is taken.
        """
        file = results / "storage.sqlite"
        if storage is None and not file.exists():
            raise UsageError(str(results), "holds no study yet", "hpo run quickstart")
        self._closing = ExitStack()
        database = RDBStorage(storage or sqlite_url(file, read_only=True))
        self._closing.callback(database.engine.dispose)
        app = guarded(optuna_dashboard.wsgi(database))
        try:
            self._server = make_server(HOST, port, app, _Server, _QuietHandler)
        except OSError as error:
            self._closing.close()
            what = f"port {port}: {error.strerror}"
            raise EnvironmentFault("dashboard", what, "choose another with --port") from None
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        self._closing.callback(thread.join)
        self._closing.callback(self._server.server_close)
        self._closing.callback(self._server.shutdown)
        self.addresses = Addresses(
            optuna=f"http://{HOST}:{self._server.server_port}/dashboard/",
            tensorboard=_tensorboard(results),
        )

    def close(self) -> None:
        """Stop Optuna's dashboard; TensorBoard's thread ends with the process."""
        self._closing.close()


def guarded(app: Wsgi) -> Wsgi:
    """Return ``app`` for looking only: reads from this machine's own pages, nothing else.

    A page of another site that resolves its name to this machine is refused by its Host, a write
    by its method.
    """

    def guard(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", "")).rpartition(":")[0] or environ.get("HTTP_HOST")
        origin = str(environ.get("HTTP_ORIGIN", ""))
        foreign = origin and not origin.startswith((f"http://{HOST}:", "http://localhost:"))
        if host not in (HOST, "localhost") or foreign:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"this dashboard answers to 127.0.0.1 only\n"]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Content-Type", "text/plain")])
            return [b"this dashboard is for looking only\n"]

        def safe(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            extra = [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY")]
            return start_response(status, [*headers, *extra], *rest)

        return app(environ, safe)

    return guard


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the terminal."""


def _tensorboard(results: Path) -> str:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    board = program.TensorBoard(default.get_plugins())
    folders = ",".join(
        f"{path.parent.name}:{path}" for path in sorted(results.glob("*/tb")) if path.is_dir()
    )
    board.configure(
        argv=[None, f"--logdir_spec={folders}", f"--host={HOST}", "--port=0", "--load_fast=false"]
    )
    return str(board.launch())
