"""A dashboard over a copy of the finished study, and how to ask it."""

import http.client
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hpo.dashboard import Dashboard


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes


Ask = Callable[..., Answer]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Return a function from an address, a method and headers to the answer."""

    def run(
        board: Dashboard, path: str = "/", method: str = "GET", *, body: bytes = b"", **headers: str
    ) -> Answer:
        place = urlsplit(board.address)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=20)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body or None, headers=sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())
        finally:
            connection.close()

    return run


@pytest.fixture(scope="session")
def results(finished, tmp_path_factory) -> Path:
    """The finished study in a folder with a name that is hard on addresses."""
    folder = tmp_path_factory.mktemp("dash {a} 50% #1, x:y") / "a 'b' c?"
    shutil.copytree(finished.results, folder)
    return folder


@pytest.fixture(scope="session")
def board(results: Path) -> Iterator[Dashboard]:
    """A dashboard as it is by default."""
    board = Dashboard(results)
    yield board
    board.close()
