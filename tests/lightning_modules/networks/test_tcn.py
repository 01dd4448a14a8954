import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from lightning_modules.families.tcn import TcnConfig
from lightning_modules.networks.tcn import CausalConvolution, build_tcn


def test_a_convolution_sees_its_own_step_and_those_before_it() -> None:
    torch.manual_seed(0)
    layer = CausalConvolution(2, 3, dilation=2)
    x = torch.randn(1, 2, 9, requires_grad=True)
    out = layer(x)
    assert out.shape == (1, 2, 9)
    out[0, 0, 5].backward()
    assert x.grad is not None
    assert x.grad[0].ne(0).any(0).nonzero().flatten().tolist() == [1, 3, 5]


def test_a_new_convolution_is_a_plain_one_and_its_length_scales_it() -> None:
    torch.manual_seed(0)
    layer = CausalConvolution(2, 3, dilation=1)
    x = torch.randn(1, 2, 5)
    plain = F.conv1d(F.pad(x, (2, 0)), layer.direction.weight, layer.direction.bias)
    torch.testing.assert_close(layer(x), plain)
    torch.nn.init.zeros_(layer.direction.bias)
    once = layer(x)
    with torch.no_grad():
        layer.length *= 2
        layer.direction.weight *= 7
    torch.testing.assert_close(layer(x), 2 * once)


def test_the_last_block_sees_as_far_as_the_docstring_says() -> None:
    torch.manual_seed(0)
    config = TcnConfig(n_layers=2, width=8, kernel=3, activation="tanh", pooling="last")
    network = build_tcn(config, (20, 1), 1, n_tokens=None, padded=False)
    x = torch.randn(1, 20, 1, requires_grad=True)
    network(x).sum().backward()
    assert x.grad is not None
    seen = x.grad[0, :, 0].ne(0).nonzero().flatten().tolist()
    assert seen == list(range(20 - (1 + 2 * 2 * (2**2 - 1)), 20))


def test_whole_channels_are_dropped() -> None:
    network = build_tcn(TcnConfig(n_layers=2, width=8), (20, 1), 1, n_tokens=None, padded=False)
    assert set(network.noise_shapes(3).values()) == {(3, 8, 1)}
    assert len(network.noise_shapes(3)) == 4
