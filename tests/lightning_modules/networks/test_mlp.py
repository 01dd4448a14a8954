import pytest
import torch
from torch import nn

from lightning_modules.families.mlp import MlpConfig
from lightning_modules.networks.mlp import Mlp, build_mlp


def linears(network: Mlp) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


def test_layers_are_as_wide_as_the_config_says() -> None:
    assert linears(build_mlp(MlpConfig(layers=[5, 4]), (3,), 2)) == [(3, 5), (5, 4), (4, 2)]


def test_no_hidden_layer_makes_a_linear_model() -> None:
    network = build_mlp(MlpConfig(layers=[]), (3,), 2)
    assert linears(network) == [(3, 2)]
    assert network.noise_shapes(7) == {}


def test_images_are_laid_flat() -> None:
    network = build_mlp(MlpConfig(n_layers=1, width=4), (2, 3, 3), 5)
    assert linears(network)[0] == (18, 4)
    assert network(torch.randn(7, 2, 3, 3)).shape == (7, 5)


@pytest.mark.parametrize(("norm", "bias"), [("none", True), ("batch", False), ("layer", False)])
def test_a_norm_replaces_the_bias_before_it(norm: str, bias: bool) -> None:
    config = MlpConfig.model_validate({"n_layers": 1, "width": 4, "norm": norm})
    network = build_mlp(config, (3,), 2)
    assert ("blocks.0.0.bias" in network.state_dict()) is bias


def test_noise_is_for_the_outputs_of_every_hidden_layer() -> None:
    network = build_mlp(MlpConfig(layers=[5, 4]), (3,), 2)
    assert network.noise_shapes(7) == {"dropout.0": (7, 5), "dropout.1": (7, 4)}


def test_every_hidden_layer_is_dropped_by_its_own_noise() -> None:
    network = build_mlp(MlpConfig(layers=[5, 4], activation="tanh"), (3,), 2)
    x, numbers = torch.randn(7, 3), {"dropout": 0.5}
    keep = {name: torch.ones(shape) for name, shape in network.noise_shapes(7).items()}
    for name in keep:
        noise = {**keep, name: torch.zeros_like(keep[name])}
        dropped = network(x, noise, numbers)
        assert not torch.equal(dropped, network(x, keep, numbers))
    # With the last layer dropped whole, nothing is left but the output's bias.
    torch.testing.assert_close(dropped, network.out.bias.expand(7, 2))
