"""Single weights are held at zero: as many as asked, of every layer some."""

import torch
from torch import nn

from hpo.compress.masks import hold, masks_of


def network() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Embedding(5, 4), nn.Linear(4, 20), nn.LayerNorm(20), nn.GRU(20, 6), nn.Linear(6, 3)
    )
    with torch.no_grad():
        made[4].weight.mul_(1e-3)  # type: ignore[operator]
    return made


def test_the_share_of_zeros_is_the_one_that_was_asked_for() -> None:
    masks = masks_of(network(), 0.8)
    values = torch.cat([mask.flatten() for mask in masks.values()])
    assert abs(float((values == 0).double().mean()) - 0.8) < 1e-3


def test_a_layer_of_small_weights_does_not_lose_all_of_them() -> None:
    masks = masks_of(network(), 0.8)
    assert 0 < float(masks["4.weight"].mean()) < 1


def test_embeddings_biases_and_norms_stay_whole() -> None:
    assert set(masks_of(network(), 0.5)) == {
        "1.weight",
        "3.weight_ih_l0",
        "3.weight_hh_l0",
        "4.weight",
    }


def test_in_a_layer_the_smallest_weights_are_left_out() -> None:
    made = network()
    weight = made.get_parameter("1.weight").detach().abs()
    mask = masks_of(made, 0.5)["1.weight"] > 0
    assert weight[mask].min() > weight[~mask].max()


def test_a_recurrent_layer_computes_with_what_is_held_at_zero() -> None:
    made = network()
    hold(made, masks_of(made, 0.9))
    gru = made[3]
    assert isinstance(gru, nn.GRU)
    plain = nn.GRU(20, 6)
    plain.load_state_dict(gru.state_dict())
    x = torch.randn(4, 2, 20)
    assert torch.equal(gru(x)[0], plain(x)[0])
    assert float((gru.weight_hh_l0 == 0).float().mean()) > 0.5
