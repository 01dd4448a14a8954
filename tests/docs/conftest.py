"""A typist for each test, in a folder of its own that has the examples in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.typist import ROOT, Typist


@pytest.fixture
def typist(cli, program, programs, tmp_path: Path, monkeypatch, registries) -> Iterator[Typist]:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    one = Typist(folder=tmp_path, cli=cli, program=program, programs=programs)
    yield one
    one.close()
