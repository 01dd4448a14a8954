"""What docs/data.md shows is a study, and names every setting and source that it speaks of."""

import re
from pathlib import Path
from typing import Any

import pytest

from hpo.files import parse_document
from hpo.spec import check_document
from lightning_modules.data.config import SOURCES, PrepareConfig
from lightning_modules.data.synthetic_config import SyntheticConfig
from lightning_modules.families import FAMILIES

GUIDE = Path(__file__).parents[2].joinpath("docs", "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.split()[:4]))
def test_every_example_is_a_study(block: str) -> None:
    text = f"name: example\nmodel: {{family: gru, width: {{low: 8, high: 16}}}}\n{block}"
    if "task:" not in block:
        text += "task: {kind: binary}\n"
    if "source:" not in block:
        text = text.replace("data:\n", "data:\n  source: sequence_sum\n")
    spec: Any = check_document(parse_document(text, "example.yaml"))
    assert spec.space.resolve(spec.space.defaults()[0].params).family == "gru"


def test_every_family_stands_beside_what_it_takes() -> None:
    lines = [line for line in GUIDE.splitlines() if line.startswith("| `(rows")]
    for kind, word in (("sequence", "sequences"), ("text", "texts")):
        line = next(line for line in lines if f"| {word}" in line)
        named = line.split("|")[3].replace(" ", "").split(",")
        assert sorted(named) == sorted(name for name in FAMILIES if kind in FAMILIES[name].takes)


def test_made_up_sources_and_settings_are_all_named() -> None:
    made_up = [name for name, one in SOURCES.items() if issubclass(one.config, SyntheticConfig)]
    assert len(made_up) >= 5
    new = set(PrepareConfig.model_fields) - {"indicator", "clip", "rare", "pca", "target"}
    assert [name for name in [*made_up, *new] if name not in GUIDE] == []
