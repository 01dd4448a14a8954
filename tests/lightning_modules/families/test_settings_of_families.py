from typing import Any

import pytest
from pydantic import ValidationError

from lightning_modules.config import RunConfig
from lightning_modules.families import FAMILIES
from lightning_modules.families.mlp import MlpConfig


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("resnet_mlp", {"n_layers": 0}),
        ("resnet_mlp", {"hidden_factor": 0.0}),
        ("resnet_mlp", {"residual_dropout": 1.0}),
        ("tabm", {"n_members": 0}),
        ("ft_transformer", {"attention_dropout": -0.1}),
        ("resnet", {"n_stages": 7}),
        ("resnet", {"growth": 0.5}),
        ("resnet", {"drop_path": 1.0}),
        ("vit", {"patch_size": 0}),
        ("vit", {"head": "last"}),
        ("mlp", {"embedding": {"name": "piecewise_linear", "n_bins": 1}}),
        ("tabm", {"embedding": {"name": "periodic", "frequency_scale": 0.0}}),
    ],
)
def test_a_setting_out_of_range_is_refused(family: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        FAMILIES[family].config.model_validate(wrong)


@pytest.mark.parametrize("family", ["ft_transformer", "vit"])
def test_heads_divide_the_width(family: str) -> None:
    what = "n_heads: 3 heads cannot share a width of 64; 3 must divide it"
    with pytest.raises(ValidationError, match=what):
        FAMILIES[family].config.model_validate({"width": 64, "n_heads": 3})


@pytest.mark.parametrize("family", ["mlp", "resnet_mlp", "tabm"])
def test_an_embedding_has_the_settings_of_its_kind_alone(family: str) -> None:
    wrong = {"embedding": {"name": "periodic", "n_bins": 4}}
    with pytest.raises(ValidationError, match="n_bins"):
        FAMILIES[family].config.model_validate(wrong)


def test_a_config_without_embedding_is_written_as_before_there_were_any() -> None:
    config = RunConfig.model_validate(
        {"task": {"kind": "multiclass"}, "data": {"source": "digits"}, "model": {"family": "mlp"}}
    )
    assert "embedding" not in config.plain()["model"]
    embedded = {**config.plain(), "model": {"family": "mlp", "embedding": {"name": "periodic"}}}
    assert RunConfig.model_validate(embedded).plain()["model"]["embedding"]["width"] == 8
    assert MlpConfig.model_validate(config.plain()["model"]) == config.model


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("mlp", "d8bda87bc53e23ae538571ff7a6158a85c9ed15b1060471dabe142acc1d5365e"),
        ("cnn", "0fb3e3d29c63a19f4c2b68b1179764dbbc97b5a9f125200f95e56fb112fe171c"),
    ],
)
def test_a_config_that_was_recorded_keeps_its_hash(family: str, expected: str) -> None:
    config = RunConfig.model_validate(
        {"task": {"kind": "multiclass"}, "data": {"source": "digits"}, "model": {"family": family}}
    )
    assert config.sha256() == expected
