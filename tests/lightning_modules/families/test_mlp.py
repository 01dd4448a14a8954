from typing import Any

import pytest
from pydantic import ValidationError

from lightning_modules.families.mlp import MlpConfig


@pytest.mark.parametrize(
    ("sizes", "widths"),
    [
        ({}, [128, 128]),
        ({"n_layers": 3, "width": 5}, [5, 5, 5]),
        ({"layers": [4, 2]}, [4, 2]),
        ({"layers": []}, []),
    ],
)
def test_widths_are_those_of_the_hidden_layers(sizes: dict[str, Any], widths: list[int]) -> None:
    assert MlpConfig.model_validate(sizes).widths == widths


@pytest.mark.parametrize("sizes", [{}, {"n_layers": 1}, {"layers": [4, 2]}, {"layers": []}])
def test_a_config_comes_back_from_its_plain_values(sizes: dict[str, Any]) -> None:
    config = MlpConfig.model_validate(sizes)
    assert MlpConfig.model_validate(config.model_dump()) == config


def test_layers_beside_a_width_are_refused() -> None:
    with pytest.raises(ValidationError, match="layers: gives every size already; remove width"):
        MlpConfig(layers=[4], width=4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_layers": 0},
        {"n_layers": 65},
        {"width": 0},
        {"layers": [0]},
        {"layers": [1] * 65},
        {"dropout": 1.0},
        {"activation": "sine"},
        {"norm": "group"},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MlpConfig.model_validate(wrong)
