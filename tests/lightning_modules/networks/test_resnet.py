import pytest
import torch
from torch import nn

from lightning_modules.families.resnet import ResnetConfig
from lightning_modules.networks.resnet import Projection, ResidualBlock, Resnet, build_resnet


def sides(network: Resnet, side: tuple[int, int]) -> list[tuple[int, ...]]:
    """Return the sides after the stem and after every block."""
    x = network.first(torch.randn(2, 1, *side))
    found = [tuple(x.shape[2:])]
    for block in network.blocks:
        x = block(x, "", 1.0, None, None)
        found.append(tuple(x.shape[2:]))
    return found


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ((8, 8), [(8, 8), (8, 8), (4, 4), (2, 2)]),
        ((28, 28), [(28, 28), (28, 28), (14, 14), (7, 7)]),
        ((3, 9), [(3, 9)] * 4),
        ((7, 7), [(7, 7), (7, 7), (4, 4), (2, 2)]),
    ],
)
def test_every_stage_but_the_first_halves_the_sides(
    side: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    network = build_resnet(ResnetConfig(n_stages=3, n_blocks=1, width=2), (1, *side), 3)
    assert sides(network, side) == expected
    assert network(torch.randn(2, 1, *side)).shape == (2, 3)


def test_stages_grow_and_hold_the_blocks_that_the_config_says() -> None:
    config = ResnetConfig(n_stages=2, n_blocks=3, width=4, growth=1.5)
    network = build_resnet(config, (1, 8, 8), 3)
    assert config.channels == [4, 6]
    assert len(network.blocks) == 6
    assert network.n_features == 6


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_a_new_block_adds_nothing(norm: str) -> None:
    config = ResnetConfig.model_validate({"norm": norm})
    block = ResidualBlock(config, 4, 4, halve=False)
    x = torch.randn(3, 4, 6, 6)
    torch.testing.assert_close(block(x, "", 1.0, None, None), x.relu())


def test_a_projection_is_a_convolution_of_1_by_1() -> None:
    projection, x = Projection(3, 5, stride=2), torch.randn(2, 3, 7, 8)
    weight = projection.weight[:, :, None, None]
    torch.testing.assert_close(projection(x), nn.functional.conv2d(x, weight, stride=2))


def test_rows_skip_later_blocks_more_often() -> None:
    network = build_resnet(ResnetConfig(n_stages=1, n_blocks=2, width=4), (1, 8, 8), 3).eval()
    for block in network.blocks:
        nn.init.ones_(block.inside[-1].weight)
    x, numbers = torch.randn(2, 1, 8, 8), {"drop_path": 0.5, "dropout": 0.0}
    between = torch.full((2, 1, 1, 1), 0.3)  # above half of the number, below the whole
    first, second = network.blocks
    stem = network.first(x)
    kept = second((stem + first.inside(stem) / 0.75).relu(), "", 1.0, None, None)
    torch.testing.assert_close(
        network(x, {"drop_path.0": between}, numbers), network.out(kept.mean((2, 3)))
    )
    skipped = first(stem, "", 1.0, None, None)
    torch.testing.assert_close(
        network(x, {"drop_path.1": between}, numbers), network.out(skipped.mean((2, 3)))
    )


def test_noise_has_one_number_a_row_for_every_block() -> None:
    network = build_resnet(ResnetConfig(n_stages=1, n_blocks=2, width=4), (1, 8, 8), 3)
    assert network.noise_shapes(5) == {
        "dropout": (5, 4),
        "drop_path.0": (5, 1, 1, 1),
        "drop_path.1": (5, 1, 1, 1),
    }
