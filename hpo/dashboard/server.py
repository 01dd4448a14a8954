"""One server for all pages of the dashboard, a thread for each request."""

import errno
import socket
import threading
from contextlib import ExitStack
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from hpo.dashboard.guard import Wsgi, safe_headers
from hpo.errors import EnvironmentFault


class Serving:
    """A server that answers until `close`.

    Args:
        app: what answers.
        host: the address to listen at.
        port: 0 takes a free one.

    Raises:
        EnvironmentFault: if the port is taken, or the address is none of this machine.
    """

    def __init__(self, app: Wsgi, *, host: str, port: int) -> None:
        kind = _Server6 if ":" in host else _Server
        self._closing = ExitStack()
        try:
            self._server = make_server(host, port, app, kind, _Handler)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                what = f"{host!r} is no address of this machine"
                raise EnvironmentFault("--host", what, "0.0.0.0 stands for all of them") from None
            what = f"port {port}: {error.strerror}"
            raise EnvironmentFault("dashboard", what, "choose another with --port") from None
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        self._closing.callback(thread.join)
        self._closing.callback(self._server.server_close)
        self._closing.callback(self._server.shutdown)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def close(self) -> None:
        """Stop it; requests that are being answered end with the process."""
        self._closing.close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the terminal."""

    def end_headers(self) -> None:
        """Send what every answer has, too; requests that are no HTTP are answered here."""
        for name, value in safe_headers("", []):
            self.send_header(name, value)
        super().end_headers()
