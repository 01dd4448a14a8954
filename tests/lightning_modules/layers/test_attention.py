import torch
from torch import nn

from lightning_modules.layers.attention import Attention, Gated, with_first


def test_attention_is_that_of_torch() -> None:
    ours, theirs = Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data.copy_(ours.take.weight)
    theirs.in_proj_bias.data.copy_(ours.take.bias)
    theirs.out_proj.load_state_dict(ours.give.state_dict())
    x = torch.randn(3, 5, 8)
    expected, _ = theirs(x, x, x)
    torch.testing.assert_close(ours(x, "attention_dropout.0", None, None), expected)


def test_attention_that_is_dropped_whole_says_nothing() -> None:
    attention = Attention(8, 2)
    noise = {"attention_dropout.0": torch.zeros(3, 2, 5, 5)}
    out = attention(torch.randn(3, 5, 8), "attention_dropout.0", noise, {"attention_dropout": 0.5})
    torch.testing.assert_close(out, attention.give.bias.expand(3, 5, 8))


def test_one_half_gates_the_other() -> None:
    x = torch.tensor([[-1.0, 2.0, 10.0, 20.0]])
    assert Gated(nn.ReLU())(x).tolist() == [[0.0, 40.0]]


def test_a_token_stands_first_in_every_row() -> None:
    joined = with_first(torch.ones(4), torch.zeros(2, 3, 4))
    assert joined.shape == (2, 4, 4)
    assert joined.sum(2).tolist() == [[4, 0, 0, 0]] * 2
