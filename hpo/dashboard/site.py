"""Everything that the dashboard serves, behind one guard, on one port."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.access import LOOPBACK
from hpo.dashboard.boards import Boards
from hpo.dashboard.guard import Access, Environ, Guard, Wsgi
from hpo.dashboard.optuna_site import OptunaSite
from hpo.dashboard.routes import Routes
from hpo.dashboard.server import Serving
from hpo.dashboard.summaries import Summaries
from hpo.errors import EnvironmentFault, UsageError
from hpo.storage.urls import redacted
from hpo.storage.writer import FAILURES, REPAIR, cause_of, mend_of

EVERYWHERE = ("0.0.0.0", "::", "")
FONTS = "/font-roboto/"
"""TensorBoard's page asks for its fonts here, wherever it is mounted."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the dashboard is served.

    Raises:
        UsageError: if others could look without a token, or the token can be guessed.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    notes: bool = False
    tensorboard: bool = True

    @property
    def is_local(self) -> bool:
        """Whether only this machine can look."""
        return self.host in LOOPBACK

    def access(self) -> Access:
        """Return who is let in."""
        if not self.is_local and not self.token:
            hint = "set HPO_TOKEN to 16 letters or more, such as: openssl rand -hex 16"
            raise UsageError("--host", f"{self.host!r}: others could look without a token", hint)
        names = {*LOOPBACK}
        if not self.is_local:
            own = socket.gethostname().lower()
            names |= {own, own.partition(".")[0], self.host.lower()}
        return Access(
            names=frozenset(names),
            any_address=not self.is_local,
            token=self.token or None,
            notes=self.notes,
        )


class Dashboard:
    """All pages, until `close`.

    Args:
        results: the folder of all studies; it may be empty yet.
        storage: an Optuna storage; the SQLite file in ``results`` by default.
        options: who may look, and where.

    Raises:
        UsageError: if others could look without a token, or ``results`` is a file.
        EnvironmentFault: if the port is taken, or the storage cannot be opened.
    """

    def __init__(
        self, results: Path, *, storage: str | None = None, options: Options | None = None
    ) -> None:
        options = options or Options()
        access = options.access()
        summaries = Summaries(results)
        summaries.folders()
        self._optuna = OptunaSite(summaries, storage=storage, notes=options.notes)
        try:
            self._optuna.open()
        except FAILURES as error:
            where = redacted(storage) if storage else str(results / "storage.sqlite")
            hint = mend_of(storage, "check --storage") if storage else REPAIR
            raise EnvironmentFault(where, cause_of(error), hint) from None
        self._boards = Boards(summaries) if options.tensorboard else None
        routes = Routes(
            summaries,
            study_ids=self._optuna.study_ids,
            tensorboard=options.tensorboard,
        )
        app = Guard(_mounted(routes, self._optuna, self._boards), access)
        try:
            self._serving = Serving(app, host=options.host, port=options.port)
        except EnvironmentFault:
            self._optuna.close()
            raise
        shown = "127.0.0.1" if options.host in EVERYWHERE else options.host
        shown = f"[{shown}]" if ":" in shown else shown
        self.address = f"http://{shown}:{self._serving.port}"

    def close(self) -> None:
        """Stop serving."""
        self._serving.close()
        self._optuna.close()
        if self._boards is not None:
            self._boards.close()


def _mounted(routes: Wsgi, optuna: Wsgi, boards: Wsgi | None) -> Wsgi:
    """Return one program of all: ours, Optuna's, and TensorBoard's below ``/tb``."""

    def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path in ("", "/") or path == "/hpo" or path.startswith("/hpo/"):
            return routes(environ, start_response)
        if path == "/tb":
            start_response("308 Permanent Redirect", [("Location", "/tb/")])
            return []
        if path.startswith(("/tb/", FONTS)):
            if boards is None:
                return routes({**environ, "PATH_INFO": "/hpo/nothing"}, start_response)
            if path.startswith(FONTS):
                return boards(environ, start_response)
            below = {"SCRIPT_NAME": "/tb", "PATH_INFO": path.removeprefix("/tb")}
            return boards({**environ, **below}, start_response)
        return optuna(environ, start_response)

    return answer
