import torch
from torch import nn

from lightning_modules.families.ft_transformer import FtTransformerConfig
from lightning_modules.networks.ft_transformer import FeatureTokens, build_ft_transformer

SMALL = FtTransformerConfig(n_layers=2, width=8, n_heads=2, hidden_factor=1.5)


def test_every_feature_is_a_token_after_the_one_that_gathers() -> None:
    tokens = FeatureTokens(3, 4)
    x = torch.tensor([[0.0, 1.0, 2.0]])
    made = tokens(x)
    assert made.shape == (1, 4, 4)
    bias = tokens.bias.view(3, 4)
    torch.testing.assert_close(made[0, 0], tokens.first)
    torch.testing.assert_close(made[0, 1], bias[0])
    torch.testing.assert_close(made[0, 3], 2 * tokens.weight[2] + bias[2])


def test_what_is_not_decayed_has_one_dimension() -> None:
    tokens = FeatureTokens(3, 4)
    assert (tokens.bias.ndim, tokens.first.ndim) == (1, 1)


def test_the_first_attention_has_no_norm_before_it() -> None:
    network = build_ft_transformer(SMALL, (3,), 2)
    before = [block.before_attention for block in network.blocks]
    assert [type(norm) for norm in before] == [nn.Identity, nn.LayerNorm]


def test_noise_has_a_place_for_everything_that_is_dropped() -> None:
    shapes = build_ft_transformer(SMALL, (3,), 2).noise_shapes(5)
    assert shapes["attention_dropout.1"] == (5, 2, 4, 4)
    assert shapes["dropout.0"] == (5, 4, 12)
    assert shapes["residual_dropout.0.attention"] == (5, 4, 8)
    assert shapes["residual_dropout.1.dense"] == (5, 4, 8)
    assert len(shapes) == 8


def test_what_every_block_adds_can_be_dropped() -> None:
    network = build_ft_transformer(SMALL, (3,), 2)
    noise = {
        place: torch.zeros(shape)
        for place, shape in network.noise_shapes(5).items()
        if place.startswith("residual")
    }
    out = network(torch.randn(5, 3), noise, {"residual_dropout": 0.5})
    torch.testing.assert_close(out, network.out(network.tokens.first.expand(5, -1)))
