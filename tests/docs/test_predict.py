"""What docs/predict.md says can be typed: no option that there is not, and none left out."""

import re

import typer.main

from hpo.cli import app
from hpo.predict.arrays import SUFFIXES as ARRAYS
from hpo.predict.opening import MODEL_FILES
from hpo.predict.reading import PARQUET
from hpo.predict.stream import SUFFIXES
from tests.docs.typist import ROOT

GUIDE = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8")
VERB = typer.main.get_command(app).commands["predict"]  # type: ignore[attr-defined]
COMMON = {"--help", "--results"}


def test_every_option_is_named_and_none_that_there_is_not() -> None:
    options = {name for one in VERB.params for name in one.opts if name.startswith("--")}
    options |= {"--quiet", "--probabilities"}
    named = set(re.findall(r"(?<![\w-])--[a-z]+", GUIDE))
    assert named - options == set()
    assert options - named - COMMON == {"--output"}  # named -o


def test_every_kind_of_file_is_named() -> None:
    endings = {*filter(None, SUFFIXES), *ARRAYS, *MODEL_FILES, PARQUET[0]}
    missing = {ending for ending in endings if ending not in GUIDE}
    assert missing == {".txt", ".ndjson", ".pq"}
