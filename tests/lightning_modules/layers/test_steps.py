import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lightning_modules.layers.steps import (
    Entrance,
    Pooling,
    last_step,
    mean_of_steps,
    real_steps,
    reversed_steps,
)

lengths_of_rows = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(torch.tensor)
X = torch.tensor([[[1.0], [2.0], [9.0]], [[4.0], [5.0], [6.0]]])
LENGTHS = torch.tensor([2, 3])


def numbered(lengths: Tensor) -> Tensor:
    """Return rows of six steps, each with a number of its own, (rows, 6, 1)."""
    return torch.arange(6.0 * len(lengths)).view(len(lengths), 6, 1)


def test_steps_up_to_the_length_are_real() -> None:
    assert real_steps(LENGTHS, 3).tolist() == [[True, True, False], [True, True, True]]


def test_the_last_step_is_the_last_real_one() -> None:
    assert last_step(X, LENGTHS).tolist() == [[2.0], [6.0]]
    assert last_step(X, None).tolist() == [[9.0], [6.0]]


@given(lengths_of_rows)
def test_steps_are_reversed_up_to_the_length_of_their_row(lengths: Tensor) -> None:
    x = numbered(lengths)
    turned = reversed_steps(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(turned[row, :length], x[row, :length].flip(0))
        assert torch.equal(turned[row, length:], x[row, length:])
    assert torch.equal(reversed_steps(turned, lengths), x)


@given(lengths_of_rows)
def test_the_mean_is_that_of_the_real_steps(lengths: Tensor) -> None:
    x = numbered(lengths)
    expected = [x[row, :length].mean(0).tolist() for row, length in enumerate(lengths.tolist())]
    torch.testing.assert_close(mean_of_steps(x, lengths), torch.tensor(expected))
    torch.testing.assert_close(mean_of_steps(x, None), x.mean(1))


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
@given(lengths_of_rows)
def test_pooling_looks_at_real_steps_alone(kind: str, lengths: Tensor) -> None:
    torch.manual_seed(0)
    pooling = Pooling(kind, 3)
    x = torch.randn(len(lengths), 6, 3)
    pooled = pooling(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(pooled[row], pooling(x[row, None, :length], None)[0])
    behind = ~real_steps(lengths, 6)[..., None]
    assert torch.equal(pooling(x.masked_fill(behind, 1e6), lengths), pooled)


def test_attention_adds_the_steps_that_the_end_asks_for() -> None:
    pooling = Pooling("attention", 1)
    assert pooling.question is not None
    torch.nn.init.constant_(pooling.question.weight, -100.0)
    assert pooling(X, LENGTHS).tolist() == [[2.0 + 1.0], [6.0 + 4.0]]
    assert pooling(X, LENGTHS, -X[:, 0]).tolist() == [[-1.0 + 2.0], [-4.0 + 6.0]]
    torch.nn.init.zeros_(pooling.question.weight)
    assert pooling(X, LENGTHS).tolist() == [[2.0 + 1.5], [6.0 + 5.0]]


def test_a_sequence_enters_through_a_dense_layer() -> None:
    entrance = Entrance((4, 3), 5, n_tokens=None, padded=False)
    x = torch.randn(2, 4, 3)
    vectors, lengths = entrance(x)
    assert lengths is None
    assert torch.equal(vectors, entrance.vectors(x))
    assert vectors.shape == (2, 4, 5)


def test_the_last_channel_of_a_padded_sequence_says_where_it_ends() -> None:
    entrance = Entrance((3, 2), 5, n_tokens=None, padded=True)
    x = torch.tensor([[[0.0, 1], [0, 1], [0, 0]], [[7.0, 1], [0, 0], [0, 0]]])
    assert entrance(x)[1].tolist() == [2, 1]


def test_a_token_is_embedded_and_padding_is_0() -> None:
    entrance = Entrance((4,), 5, n_tokens=9, padded=True)
    vectors, lengths = entrance(torch.tensor([[8, 1, 8, 0], [3, 0, 0, 0]]))
    assert lengths.tolist() == [3, 1]
    assert torch.equal(vectors[0, 0], vectors[0, 2])
    assert not vectors[0, :3].eq(0).any()
    assert vectors[0, 3].eq(0).all()
    vectors.sum().backward()
    assert entrance.vectors.weight.grad[0].eq(0).all()


def test_a_row_without_any_step_has_one() -> None:
    entrance = Entrance((4,), 5, n_tokens=9, padded=True)
    assert entrance(torch.zeros(2, 4, dtype=torch.int64))[1].tolist() == [1, 1]
