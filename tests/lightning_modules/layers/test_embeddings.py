import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lightning_modules.families.embedding import (
    EMBEDDINGS,
    NoEmbeddingConfig,
    PeriodicConfig,
    PiecewiseLinearConfig,
    is_none,
)
from lightning_modules.layers.embeddings import (
    PerFeature,
    Periodic,
    PiecewiseLinear,
    embedded_width,
    embedding,
    normal_edges,
)


def encoded(edges: list[float], x: list[float]) -> list[list[float]]:
    layer = PiecewiseLinear(PiecewiseLinearConfig(n_bins=len(edges) - 1, width=1), 1, [edges])
    found: list[list[float]] = layer.encode(torch.tensor(x)[:, None])[:, 0].tolist()
    return found


def test_a_value_is_placed_among_the_bins() -> None:
    assert encoded([0, 1, 3, 4], [0.25, 2.0, 3.5]) == [[0.25, 0, 0], [1, 0.5, 0], [1, 1, 0.5]]


def test_a_value_outside_goes_on_by_one_width_and_no_further() -> None:
    assert encoded([0, 1, 3], [-0.5, -9.0]) == [[-0.5, 0], [-1, 0]]
    assert encoded([0, 1, 3], [4.0, 99.0]) == [[1, 1.5], [1, 2]]


def test_a_bin_of_no_width_says_nothing() -> None:
    assert encoded([0, 0, 0, 2, 2], [1.0, -1.0, 3.0]) == [
        [0, 0, 0.5, 0],
        [0, 0, -0.5, 0],
        [0, 0, 1.5, 0],
    ]


def test_a_constant_feature_says_nothing() -> None:
    assert encoded([1, 1, 1], [0.0, 1.0, 2.0]) == [[0, 0]] * 3


@given(
    st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=6).map(sorted),
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=8).map(sorted),
)
def test_a_greater_value_is_nowhere_further_back(edges: list[float], x: list[float]) -> None:
    places = torch.tensor(encoded(edges, x))
    assert bool((places.diff(dim=0) >= -1e-6).all())
    assert bool(((places >= -1) & (places <= 2)).all())


def test_every_feature_has_edges_and_a_dense_layer_of_its_own() -> None:
    config = PiecewiseLinearConfig(n_bins=2, width=3)
    layer = PiecewiseLinear(config, 2, [[0.0, 1.0, 2.0], [10.0, 20.0, 30.0]])
    x = torch.tensor([[1.0, 20.0]])
    assert layer.encode(x).tolist() == [[[1, 0], [1, 0]]]
    assert layer(x).shape == (1, 2, 3)
    assert not torch.equal(layer(x)[0, 0], layer(x)[0, 1])


def test_edges_come_with_the_weights() -> None:
    config = PiecewiseLinearConfig(n_bins=2, width=3)
    one = PiecewiseLinear(config, 1, [[0.0, 1.0, 2.0]])
    other = PiecewiseLinear(config, 1, None)
    x = torch.tensor([[0.3], [5.0]])
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))


def test_without_edges_they_are_those_of_a_normal_feature() -> None:
    edges = normal_edges(4)
    assert edges == sorted(edges)
    assert edges[2] == pytest.approx(0)
    assert edges[0] == pytest.approx(-edges[4])


def test_a_dense_layer_of_a_feature_sees_that_feature_alone() -> None:
    layer = PerFeature(2, 3, 4)
    x = torch.randn(5, 2, 3)
    changed = x.clone()
    changed[:, 1] += 1
    assert torch.equal(layer(x)[:, 0], layer(changed)[:, 0])
    assert not torch.equal(layer(x)[:, 1], layer(changed)[:, 1])


def test_waves_repeat_after_their_period() -> None:
    layer = Periodic(PeriodicConfig(n_frequencies=4, width=3), 1)
    nn.init.constant_(layer.frequencies, 0.5)
    x = torch.tensor([[0.3]])
    torch.testing.assert_close(layer(x), layer(x + 2))
    assert not torch.allclose(layer(x), layer(x + 1))


def test_frequencies_start_as_far_apart_as_the_config_says() -> None:
    layer = Periodic(PeriodicConfig(n_frequencies=512, frequency_scale=10.0), 4)
    assert layer.frequencies.std().item() == pytest.approx(10.0, rel=0.1)


def test_what_is_not_decayed_has_one_dimension() -> None:
    assert PerFeature(2, 3, 4).bias.ndim == 1


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_an_embedding_makes_what_its_width_says(name: str) -> None:
    config = EMBEDDINGS[name].config()
    x = torch.randn(5, 3)
    assert embedding(config, 3)(x).flatten(1).shape == (5, 3 * embedded_width(config))
    assert is_none(config) == (name == "none")


def test_no_embedding_leaves_features_as_they_are() -> None:
    x = torch.randn(5, 3)
    assert embedding(NoEmbeddingConfig(), 3)(x) is x
