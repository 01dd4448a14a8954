from typing import Any

import pytest
from pydantic import ValidationError

from lightning_modules.families.cnn import CnnConfig


@pytest.mark.parametrize(
    ("sizes", "channels"),
    [
        ({}, [32, 64, 128]),
        ({"n_layers": 2, "width": 3, "growth": 1.0}, [3, 3]),
        ({"n_layers": 3, "width": 4, "growth": 1.5}, [4, 6, 9]),
        ({"layers": [4, 2]}, [4, 2]),
    ],
)
def test_channels_grow_from_block_to_block(sizes: dict[str, Any], channels: list[int]) -> None:
    assert CnnConfig.model_validate(sizes).channels == channels


@pytest.mark.parametrize("sizes", [{}, {"growth": 1}, {"layers": [4, 2]}])
def test_a_config_comes_back_from_its_plain_values(sizes: dict[str, Any]) -> None:
    config = CnnConfig.model_validate(sizes)
    assert CnnConfig.model_validate(config.model_dump()) == config


def test_layers_beside_a_growth_are_refused() -> None:
    with pytest.raises(ValidationError, match="layers: gives every size already; remove growth"):
        CnnConfig(layers=[4], growth=2.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_layers": 0},
        {"n_layers": 33},
        {"width": 0},
        {"growth": 0.5},
        {"growth": 4.5},
        {"layers": []},
        {"layers": [0]},
        {"kernel": 2},
        {"pooling": "min"},
        {"head": "max"},
        {"dropout": 1.0},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CnnConfig.model_validate(wrong)
