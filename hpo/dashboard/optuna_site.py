"""Optuna's dashboard over the storage of our studies: for looking, and for notes if wanted."""

import io
import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

from optuna.storages import RDBStorage, get_storage

from hpo.dashboard.artifacts import Artifacts
from hpo.dashboard.guard import Environ, Wsgi
from hpo.dashboard.notes import without_ours
from hpo.dashboard.summaries import Summaries
from hpo.dashboard.viewed import ViewedStorage
from hpo.storage.writer import open_storage, sqlite_file, sqlite_url

IDS_EVERY_S = 2.0


class OptunaSite:
    """Answers all addresses of Optuna's dashboard; opens the storage when there is one.

    Args:
        summaries: of the studies.
        storage: its URL; the SQLite file among the studies by default.
        notes: whether notes may be saved.
    """

    def __init__(self, summaries: Summaries, *, storage: str | None, notes: bool) -> None:
        self._summaries = summaries
        self._url = storage or sqlite_url(summaries.results / "storage.sqlite")
        self._notes = notes
        self._lock = Lock()
        self._closing = ExitStack()
        self._app: Wsgi | None = None
        self._stored: Any = None
        self._ids: tuple[float, dict[str, int]] = (0.0, {})

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        if not self.open():
            start_response("302 Found", [("Location", "/"), ("Content-Type", "text/plain")])
            return [b"there is no study yet\n"]
        if environ["REQUEST_METHOD"] == "PUT":
            environ = _without_our_part(environ)
        return self._made()(environ, start_response)

    def study_ids(self) -> dict[str, int]:
        """Return the ids of all studies in the storage, by name; none while there is no storage."""
        if time.monotonic() - self._ids[0] > IDS_EVERY_S and self.open():
            studies = self._stored.get_all_studies()
            found = {study.study_name: study._study_id for study in studies}
            self._ids = (time.monotonic(), found)
        return self._ids[1]

    def open(self) -> bool:
        """Open the storage, and return whether there is one.

        Raises:
            SQLAlchemyError, OptunaError, OSError, ValueError, RuntimeError, ImportError: as Optuna.
        """
        with self._lock:
            if self._stored is None:
                file = sqlite_file(self._url)
                if file is not None and not file.exists():
                    return False
                stored = self._open(file)
                self._closing.callback(stored.engine.dispose)
                self._stored = get_storage(stored)
            return True

    def close(self) -> None:
        """Close the storage."""
        self._closing.close()

    def _made(self) -> Wsgi:
        # It imports scikit-learn: a second that the index need not wait for.
        import optuna_dashboard

        with self._lock:
            if self._app is None:
                artifacts = Artifacts()
                view = ViewedStorage(
                    self._stored, self._summaries, artifacts=artifacts, notes=self._notes
                )
                self._app = optuna_dashboard.wsgi(view, artifact_store=artifacts)
            return self._app

    def _open(self, file: Path | None) -> RDBStorage:
        if file is None or self._notes:
            return open_storage(self._url)
        return RDBStorage(sqlite_url(file, read_only=True))


def _without_our_part(environ: Environ) -> Environ:
    """Return the request that saves a note, without what we put above it."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    try:
        sent = json.loads(body)
        rest = {**sent, "body": without_ours(sent["body"])}
    except (ValueError, TypeError, KeyError, AttributeError):
        rest = {}
    if not isinstance(rest.get("version"), int):
        rest = {}
    kept = json.dumps(rest).encode()
    return {**environ, "wsgi.input": io.BytesIO(kept), "CONTENT_LENGTH": str(len(kept))}
