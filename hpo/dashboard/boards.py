"""TensorBoard under our own port: all studies together, and each one by itself.

HParams shows the parameters of one study, whichever it meets first: so every study has a board of
its own, made when it is first looked at.
"""

import io
import logging
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

from hpo.dashboard.guard import Environ, Wsgi
from hpo.dashboard.summaries import Summaries, Summary

MOST_BOARDS = 8
"""Boards of single studies that are kept in memory."""
EVERY_S = 5
"""How often a board looks for more of a study that runs."""


class Boards:
    """Answers below ``/tb``; ``PATH_INFO`` begins after that."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries
        self._lock = Lock()
        self._closing = ExitStack()
        self._all: Wsgi | None = None
        self._links = Path()
        self._boards: OrderedDict[str, tuple[object, Wsgi]] = OrderedDict()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request: what is not data is the same for all boards."""
        whole = self._board_of_all()
        match environ["PATH_INFO"].split("/", 3):
            case ["", "study", name, *rest] if found := self._summaries.find(name):
                if not rest:  # its page's links start at its folder
                    place = f"{environ['SCRIPT_NAME']}/study/{name}/"
                    start_response("308 Permanent Redirect", [("Location", place)])
                    return []
                is_data = rest[0].startswith(("data/", "experiment/"))
                board = self._board_of(found) if is_data else whole
                moved = {"SCRIPT_NAME": f"/tb/study/{name}", "PATH_INFO": f"/{rest[0]}"}
                return board({**environ, **moved}, start_response)
            case ["", "study", *_]:
                start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
                return [b"no such study; start at /\n"]
        return whole(environ, start_response)

    def close(self) -> None:
        """Remove the folder of links; what TensorBoard reads in the background ends by itself."""
        self._closing.close()

    def _board_of_all(self) -> Wsgi:
        """Return the board of all studies, the new ones among them."""
        with self._lock:
            if self._all is None:
                temporary = tempfile.TemporaryDirectory(prefix="hpo-dashboard-")
                self._links = Path(self._closing.enter_context(temporary))
                self._link()
                self._all = _board(self._links, every_s=EVERY_S, with_pages=True)
            self._link()
            return self._all

    def _link(self) -> None:
        """Link every study's folder: a run is then named after its study, whatever the path."""
        for folder in self._summaries.folders():
            link = self._links / folder.name
            if folder.tensorboard.is_dir() and not link.is_symlink():
                link.symlink_to(folder.tensorboard.resolve(), target_is_directory=True)

    def _board_of(self, summary: Summary) -> Wsgi:
        """Return the board of one study; one that has ended is read once."""
        folder, running = summary.folder, summary.running
        state = "running" if running else self._summaries.stamp(folder)
        with self._lock:
            known = self._boards.pop(folder.name, None)
            if known is None or known[0] != state:
                board = _board(folder.tensorboard, every_s=EVERY_S if running else 0)
                known = (state, board)
            self._boards[folder.name] = known
            while len(self._boards) > MOST_BOARDS:
                self._boards.popitem(last=False)
            return known[1]


def _board(folder: Path, *, every_s: int, with_pages: bool = False) -> Wsgi:
    """Return TensorBoard's own program, without a server."""
    # Half a second that a dashboard of which nobody looks at the curves need not wait.
    from tensorboard import default, program

    for name in ("tensorboard", "werkzeug"):
        logging.getLogger(name).setLevel(logging.ERROR)
    taken: list[Wsgi] = []

    class Taken:
        """Stands where a server would: it keeps the program, and serves nothing."""

        def __init__(self, app: Wsgi, flags: object) -> None:
            taken.append(app)

        def serve_forever(self) -> None:
            """Return at once."""

        def get_url(self) -> str:
            """Return nothing: it is nowhere by itself."""
            return ""

    assets = None if with_pages else _no_pages
    board = program.TensorBoard(default.get_static_plugins(), assets, server_class=Taken)
    arguments = [f"--logdir={folder}", "--load_fast=false", f"--reload_interval={every_s}"]
    if not every_s:
        arguments.append("--reload_task=blocking")
    board.configure(argv=[None, *arguments])
    board.launch()
    return taken[0]


def _no_pages() -> io.BytesIO:
    """Return an archive of one empty page: the board of all studies has them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("index.html", "")
    stream.seek(0)
    return stream
