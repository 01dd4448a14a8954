import pytest
import torch
from torch import nn

from lightning_modules.families.embedding import PeriodicConfig
from lightning_modules.families.resnet_mlp import ResnetMlpConfig
from lightning_modules.networks.resnet_mlp import ResnetMlp, build_resnet_mlp

SMALL = ResnetMlpConfig(n_layers=2, width=4, hidden_factor=1.5)


def linears(network: ResnetMlp) -> list[tuple[int, int]]:
    found = [m for m in network.modules() if isinstance(m, nn.Linear)]
    return sorted((m.in_features, m.out_features) for m in found)


def test_layers_are_as_wide_as_the_config_says() -> None:
    network = build_resnet_mlp(SMALL, (3,), 2)
    assert linears(network) == [(3, 4), (4, 2), (4, 6), (4, 6), (6, 4), (6, 4)]


def test_a_block_that_adds_nothing_is_skipped() -> None:
    network = build_resnet_mlp(SMALL, (3,), 2).eval()
    for layer in network.narrow:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(5, 3)
    torch.testing.assert_close(network(x), network.out(network.first(x)))


def test_noise_is_for_the_inside_and_for_what_is_added() -> None:
    network = build_resnet_mlp(SMALL, (3,), 2).eval()
    shapes = network.noise_shapes(5)
    assert shapes == {
        "dropout.0": (5, 6),
        "residual_dropout.0": (5, 4),
        "dropout.1": (5, 6),
        "residual_dropout.1": (5, 4),
    }
    all_dropped = {name: torch.zeros(5, 4) for name in shapes if name.startswith("residual")}
    x = torch.randn(5, 3)
    out = network(x, all_dropped, {"residual_dropout": 0.5})
    torch.testing.assert_close(out, network.out(network.first(x)))


def test_every_block_is_dropped_inside_by_its_own_noise() -> None:
    network, x = build_resnet_mlp(SMALL, (3,), 2).eval(), torch.randn(5, 3)
    outputs = []
    for i in range(2):
        noise = {f"dropout.{j}": torch.full((5, 6), float(i != j)) for j in range(2)}
        outputs.append(network(x, noise, {"dropout": 0.5}))
    assert not torch.allclose(outputs[0], outputs[1])


def test_embedded_features_widen_the_first_layer() -> None:
    config = ResnetMlpConfig(width=4, embedding=PeriodicConfig(width=5))
    network = build_resnet_mlp(config, (3,), 2)
    assert network.first.in_features == 15
    assert network(torch.randn(6, 3)).shape == (6, 2)


@pytest.mark.parametrize(("width", "factor", "hidden"), [(4, 1.5, 6), (4, 0.1, 1), (3, 0.5, 2)])
def test_the_inside_of_a_block_is_a_multiple_of_the_width(
    width: int, factor: float, hidden: int
) -> None:
    assert ResnetMlpConfig(width=width, hidden_factor=factor).hidden_width == hidden
