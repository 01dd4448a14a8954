import pytest
import torch
from torch import nn

from lightning_modules.families.cnn import CnnConfig
from lightning_modules.networks.cnn import build_cnn


def channels(network: nn.Module) -> list[tuple[int, int]]:
    found = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    return [(m.in_channels, m.out_channels) for m in found]


def test_blocks_have_the_channels_that_the_config_says() -> None:
    network = build_cnn(CnnConfig(layers=[4, 6]), (2, 8, 8), 3)
    assert channels(network) == [(2, 4), (4, 6)]


@pytest.mark.parametrize(
    ("side", "n_layers", "left"),
    [((8, 8), 1, 16), ((8, 8), 2, 4), ((8, 8), 5, 4), ((3, 3), 2, 9), ((3, 9), 2, 27)],
)
def test_sides_are_halved_while_both_are_at_least_4(
    side: tuple[int, int], n_layers: int, left: int
) -> None:
    config = CnnConfig(n_layers=n_layers, width=2, growth=1.0)
    network = build_cnn(config, (1, *side), 3)
    assert network.n_features == 2 * left
    assert network(torch.randn(5, 1, *side)).shape == (5, 3)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a_kernel_keeps_the_sides(kernel: int) -> None:
    config = CnnConfig.model_validate({"n_layers": 1, "width": 2, "kernel": kernel})
    assert build_cnn(config, (1, 8, 8), 3).n_features == 2 * 4 * 4


def test_a_mean_head_sees_one_value_a_channel() -> None:
    network = build_cnn(CnnConfig(layers=[4, 6], head="mean"), (1, 8, 8), 3)
    assert network.n_features == 6
    assert network(torch.randn(5, 1, 8, 8)).shape == (5, 3)


@pytest.mark.parametrize(("pooling", "kind"), [("max", nn.MaxPool2d), ("avg", nn.AvgPool2d)])
def test_pooling_is_the_one_that_the_config_says(pooling: str, kind: type[nn.Module]) -> None:
    config = CnnConfig.model_validate({"n_layers": 1, "width": 2, "pooling": pooling})
    network = build_cnn(config, (1, 8, 8), 3)
    assert any(isinstance(module, kind) for module in network.modules())


@pytest.mark.parametrize(("norm", "bias"), [("none", True), ("batch", False), ("layer", False)])
def test_a_norm_replaces_the_bias_before_it(norm: str, bias: bool) -> None:
    config = CnnConfig.model_validate({"layers": [4], "norm": norm})
    network = build_cnn(config, (1, 8, 8), 3)
    assert ("blocks.0.0.bias" in network.state_dict()) is bias


def test_noise_is_for_what_the_head_sees() -> None:
    network = build_cnn(CnnConfig(layers=[4]), (1, 8, 8), 3)
    assert network.noise_shapes(5) == {"dropout": (5, 4 * 4 * 4)}
    everything = {"dropout": torch.zeros(5, 64)}
    dropped = network(torch.randn(5, 1, 8, 8), everything, {"dropout": 0.5})
    torch.testing.assert_close(dropped, network.out.bias.expand(5, 3))
