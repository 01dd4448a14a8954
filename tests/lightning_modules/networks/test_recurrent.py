import pytest
import torch

from lightning_modules.families.recurrent import GruConfig, LstmConfig, RnnConfig
from lightning_modules.networks.recurrent import Recurrent, build_recurrent


def built(config: RnnConfig | LstmConfig | GruConfig) -> Recurrent:
    torch.manual_seed(0)
    return build_recurrent(config, (5, 3), 2, n_tokens=None, padded=False).eval()


@pytest.mark.parametrize(
    ("config", "n_gates"),
    [(RnnConfig(width=8), 1), (LstmConfig(width=8), 4), (GruConfig(width=8), 3)],
)
def test_a_recurrence_starts_orthogonal(
    config: RnnConfig | LstmConfig | GruConfig, n_gates: int
) -> None:
    weight = built(config).layers[0].there.weight_hh_l0
    assert weight.shape == (8 * n_gates, 8)
    for gate in weight.chunk(n_gates):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)


def test_the_gate_that_forgets_is_open_at_first() -> None:
    layer = built(LstmConfig(width=4)).layers[0].there
    assert (layer.bias_ih_l0 + layer.bias_hh_l0).tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_one_direction_alone_sees_what_came_before() -> None:
    network = built(GruConfig(width=4, n_layers=2, bidirectional=False))
    x, later = torch.randn(1, 5, 3), torch.randn(1, 2, 3)
    changed = torch.cat([x[:, :3], later], dim=1)
    states = [network.layers[0](network.entrance(one)[0], None) for one in (x, changed)]
    assert torch.equal(states[0][:, :3], states[1][:, :3])
    both = built(GruConfig(width=4, bidirectional=True))
    states = [both.layers[0](both.entrance(one)[0], None) for one in (x, changed)]
    assert torch.equal(states[0][:, :3, :4], states[1][:, :3, :4])
    assert not torch.allclose(states[0][:, :3, 4:], states[1][:, :3, 4:])


def test_the_last_states_are_those_in_which_both_directions_end() -> None:
    network = built(LstmConfig(width=4, pooling="last"))
    x = torch.randn(2, 5, 3)
    states = network.layers[0](network.entrance(x)[0], None)
    ends = torch.cat([states[:, -1, :4], states[:, 0, 4:]], dim=1)
    assert torch.equal(network(x), network.out(ends))


def test_a_unit_is_dropped_at_all_steps() -> None:
    network = built(RnnConfig(width=4, n_layers=2))
    shapes = network.noise_shapes(3)
    assert shapes == {"dropout.0": (3, 1, 8), "dropout.head": (3, 8)}
    noise = {"dropout.0": torch.zeros(3, 1, 8)}
    one, other = (network(torch.randn(3, 5, 3), noise, {"dropout": 0.5}) for _ in range(2))
    torch.testing.assert_close(one, other)
