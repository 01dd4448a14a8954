"""What docs/images.md shows is a study, and names every setting of augmentation."""

import re
from pathlib import Path
from typing import Any

import pytest

from hpo.files import parse_document
from hpo.spec import check_document
from lightning_modules.data.augment_config import AugmentConfig, JitterConfig, RandAugmentConfig
from lightning_modules.data.config import SOURCES, HuggingFaceConfig, ImageConfig

GUIDE = Path(__file__).parents[2].joinpath("docs", "images.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("source: ")[1].split()[0])
def test_every_example_is_a_study(block: str) -> None:
    text = f"name: example\nmodel: {{family: cnn, width: {{low: 8, high: 16}}}}\n{block}"
    if "task:" not in block:
        text += "task: {kind: binary}\n"
    spec: Any = check_document(parse_document(text, "example.yaml"))
    assert spec.space.resolve(spec.space.defaults()[0].params).family == "cnn"


def test_settings_stand_in_the_order_in_which_they_are_applied() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", GUIDE, re.M)
    assert rows == list(AugmentConfig.model_fields)
    inner = [*JitterConfig.model_fields, *RandAugmentConfig.model_fields]
    assert [name for name in inner if f"`{name}`" not in GUIDE] == []


def test_every_source_of_image_files_and_its_settings_are_named() -> None:
    sources = [
        name
        for name, one in SOURCES.items()
        if issubclass(one.config, ImageConfig | HuggingFaceConfig)
    ]
    settings = ImageConfig.__annotations__
    assert [name for name in [*sources, *settings] if f"{name}" not in GUIDE] == []
