import torch

from lightning_modules.families.embedding import PeriodicConfig
from lightning_modules.families.tabm import TabmConfig
from lightning_modules.networks.tabm import MemberLinear, SharedLinear, build_tabm

SMALL = TabmConfig(n_members=3, n_layers=2, width=8)


def test_every_member_answers_for_every_row() -> None:
    assert build_tabm(SMALL, (4,), 2)(torch.randn(5, 4)).shape == (5, 3, 2)


def test_members_share_the_weights_of_hidden_layers() -> None:
    network = build_tabm(SMALL, (4,), 2)
    sizes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert sizes["blocks.0.0.weight"] == (8, 4)
    assert sizes["blocks.0.0.scale_in"] == (3, 4)
    assert sizes["blocks.1.0.scale_out"] == (3, 8)
    assert sizes["out.weight"] == (3, 8, 2)


def test_members_differ_from_the_start_by_the_signs_of_features() -> None:
    network = build_tabm(TabmConfig(n_members=16), (10,), 1)
    signs = network.blocks[0][0].scale_in
    assert bool((signs.abs() == 1).all())
    assert len({tuple(member.tolist()) for member in signs}) > 8
    assert bool((network.blocks[1][0].scale_in == 1).all())


def test_the_numbers_of_an_embedded_feature_have_one_sign() -> None:
    config = TabmConfig(n_members=4, width=8, embedding=PeriodicConfig(width=5))
    signs = build_tabm(config, (3,), 1).blocks[0][0].scale_in.view(4, 3, 5)
    assert bool((signs == signs[..., :1]).all())


def test_a_member_alone_is_a_dense_layer() -> None:
    layer, x = SharedLinear(4, 5, 3), torch.randn(6, 3, 4)
    with torch.no_grad():
        layer.scale_in.normal_()
        layer.scale_out.normal_()
    alone = (x[:, 1] * layer.scale_in[1]) @ layer.weight.T * layer.scale_out[1]
    torch.testing.assert_close(layer(x)[:, 1], alone + layer.bias.view(3, 5)[1])


def test_outputs_of_members_have_nothing_in_common() -> None:
    layer, x = MemberLinear(4, 5, 3), torch.randn(6, 3, 4)
    alone = x[:, 2] @ layer.weight[2] + layer.bias.view(3, 5)[2]
    torch.testing.assert_close(layer(x)[:, 2], alone)


def test_every_member_is_dropped_by_its_own_noise() -> None:
    network = build_tabm(SMALL, (4,), 2)
    assert network.noise_shapes(5) == {"dropout.0": (5, 3, 8), "dropout.1": (5, 3, 8)}
    noise = {"dropout.1": torch.ones(5, 3, 8)}
    noise["dropout.1"][:, 0] = 0
    x = torch.randn(5, 4)
    dropped = network(x, noise, {"dropout": 0.5})
    torch.testing.assert_close(dropped[:, 0], network.out.bias.view(3, 2)[0].expand(5, 2))
    assert not torch.allclose(dropped[:, 1], network.out.bias.view(3, 2)[1].expand(5, 2))
