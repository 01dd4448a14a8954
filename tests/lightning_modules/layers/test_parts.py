from typing import get_args

import pytest
import torch
from torch import nn

from lightning_modules.families.family import Activation, Norm
from lightning_modules.layers.parts import activation, feature_norm, image_norm


@pytest.mark.parametrize("name", get_args(Activation))
def test_an_activation_is_the_one_that_its_name_says(name: str) -> None:
    assert type(activation(name)).__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize("name", get_args(Activation))
def test_an_activation_keeps_the_shape_and_is_not_linear(name: str) -> None:
    x = torch.tensor([[-2.0, 0.0, 2.0]])
    y = activation(name)(x)
    assert y.shape == x.shape
    assert not torch.allclose(-y[0, 0], y[0, 2]) or name == "tanh"
    assert not torch.allclose(2 * y, activation(name)(2 * x)) or name.endswith("relu")


@pytest.mark.parametrize("name", get_args(Norm))
def test_a_norm_keeps_the_shape(name: str) -> None:
    features, images = torch.randn(4, 3), torch.randn(4, 3, 5, 5)
    assert feature_norm(name, 3)(features).shape == features.shape
    assert image_norm(name, 3)(images).shape == images.shape


def test_no_norm_changes_nothing() -> None:
    assert isinstance(feature_norm("none", 3), nn.Identity)
    assert isinstance(image_norm("none", 3), nn.Identity)


def test_a_batch_norm_centres_every_feature_over_the_rows(generator: torch.Generator) -> None:
    x = 5 + torch.randn(16, 3, 2, 2, generator=generator)
    norm = image_norm("batch", 3)(x).mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm, torch.zeros(3), atol=1e-5, rtol=0)
    rows = feature_norm("batch", 3)(x[:, :, 0, 0]).mean(dim=0)
    torch.testing.assert_close(rows, torch.zeros(3), atol=1e-5, rtol=0)


def test_a_layer_norm_centres_every_row(generator: torch.Generator) -> None:
    x = 5 + torch.randn(4, 3, 2, 2, generator=generator)
    norm = image_norm("layer", 3)(x).mean(dim=(1, 2, 3))
    torch.testing.assert_close(norm, torch.zeros(4), atol=1e-5, rtol=0)
    rows = feature_norm("layer", 3)(x[:, :, 0, 0]).mean(dim=1)
    torch.testing.assert_close(rows, torch.zeros(4), atol=1e-5, rtol=0)
