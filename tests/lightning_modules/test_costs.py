from collections.abc import Callable

import pytest
import torch
from torch import nn

from lightning_modules.build import build_module, open_data
from lightning_modules.config import RunConfig
from lightning_modules.costs import Uncounted, costs_of, count_flops
from lightning_modules.module import SupervisedModule

MakeConfig = Callable[..., RunConfig]


def test_the_operations_of_a_perceptron_are_two_for_each_weight(make_config: MakeConfig) -> None:
    config = make_config(model={"family": "mlp", "n_layers": 2, "width": 8})
    data = open_data(config)
    assert costs_of(build_module(config, data), data).flops == 2 * (4 * 8 + 8 * 8 + 8 * 3)


def test_a_recurrent_network_works_at_every_step(make_config: MakeConfig) -> None:
    found = []
    for family, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        config = make_config(
            data={"source": "sequence_sum"},
            model={"family": family, "n_layers": 1, "width": 8, "bidirectional": False},
        )
        data = open_data(config)
        assert data.facts is not None
        (steps, _), n_outputs = data.facts.input_shape, data.facts.n_outputs
        flops = costs_of(build_module(config, data), data).flops
        assert flops is not None
        found.append(flops - 2 * steps * gates * 8 * (8 + 8))
    assert len(set(found)) == 1  # what stands before and behind the recurrent layer
    assert found[0] >= 2 * 8 * n_outputs


def test_one_row_and_many_are_timed(make_config: MakeConfig) -> None:
    config = make_config()
    data = open_data(config)
    found = costs_of(build_module(config, data), data)
    assert set(found.latency) == {"1", "64"}
    assert min(found.latency.values()) > 0
    assert found.null_because == {}


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Flatten(), "counts no operation"),
        (nn.Linear(5, 3), "one row does not pass: RuntimeError"),
        (
            nn.Sequential(
                nn.Unflatten(1, (1, 4)),
                nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1),
            ),
            "torch does not count _transformer_encoder_layer_fwd",
        ),
    ],
    ids=["nothing", "broken", "fused"],
)
def test_what_cannot_be_counted_is_none_with_its_reason(
    make_config: MakeConfig, network: nn.Module, reason: str
) -> None:
    config = make_config()
    data = open_data(config)
    module = build_module(config, data)
    assert isinstance(module, SupervisedModule)
    assert data.facts is not None
    module.network = network
    module.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    module.eval()
    with pytest.raises(Uncounted, match=reason):
        count_flops(module, data.facts)
    assert reason in costs_of(module, data).null_because["flops"]
