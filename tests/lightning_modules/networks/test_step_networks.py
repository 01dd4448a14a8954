"""What every network of sequences or text keeps: padding has no effect, order has one."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lightning_modules.data.facts import DataFacts
from lightning_modules.families import FAMILIES

N_STEPS, N_TOKENS, N_CHANNELS = 6, 9, 3
POOLINGS = {
    "rnn": ("last", "mean", "max", "attention"),
    "lstm": ("last", "mean", "max", "attention"),
    "gru": ("last", "mean", "max", "attention"),
    "tcn": ("last", "mean", "max", "attention"),
    "transformer": ("mean", "first", "last"),
}
SMALL = {"n_layers": 2, "width": 8, "n_heads": 2, "n_filters": 4}
NETWORKS = [
    *((family, {"pooling": pooling}) for family, names in POOLINGS.items() for pooling in names),
    ("lstm", {"pooling": "last", "bidirectional": False}),
    ("rnn", {"activation": "relu"}),
    ("transformer", {"places": "learned"}),
    ("transformer", {"places": "learned", "pooling": "first"}),
    ("text_cnn", {}),
    ("text_cnn", {"kernels": [2, 9]}),
]
CASES = [(family, kind, chosen) for family, chosen in NETWORKS for kind in FAMILIES[family].takes]
every_case = pytest.mark.parametrize(("family", "kind", "chosen"), CASES, ids=str)


def built(family: str, kind: str, *, padded: bool = True, **chosen: Any) -> nn.Module:
    torch.manual_seed(0)
    entry = FAMILIES[family]
    fields = entry.config.model_fields
    config = entry.config(**{k: v for k, v in SMALL.items() if k in fields} | chosen)
    is_text = kind == "text"
    network: nn.Module = entry.resolve()(
        config,
        (N_STEPS,) if is_text else (N_STEPS, N_CHANNELS),
        2,
        n_tokens=N_TOKENS if is_text else None,
        padded=padded,
    )
    return network.eval()


def rows(kind: str, lengths: list[int], seed: int = 0) -> Tensor:
    """Return rows of these lengths, padded at the end."""
    generator = torch.Generator().manual_seed(seed)
    real = torch.arange(N_STEPS) < torch.tensor(lengths)[:, None]
    if kind == "text":
        return torch.randint(1, N_TOKENS, (len(lengths), N_STEPS), generator=generator) * real
    x = torch.randn(len(lengths), N_STEPS, N_CHANNELS, generator=generator)
    x[..., -1] = 1.0
    return x * real[..., None]


@every_case
@settings(max_examples=5)
@given(lengths=st.lists(st.integers(1, N_STEPS), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_padding_behind_a_row_has_no_effect(
    family: str, kind: str, chosen: dict[str, Any], lengths: list[int], seed: int
) -> None:
    network = built(family, kind, **chosen)
    x = rows(kind, lengths, seed)
    together = network(x)
    for row, length in enumerate(lengths):
        alone = network(x[row, None, :length])
        torch.testing.assert_close(together[row, None], alone, rtol=1e-4, atol=1e-5)


@every_case
def test_what_stands_in_the_padding_gets_no_gradient(
    family: str, kind: str, chosen: dict[str, Any]
) -> None:
    if kind == "text":
        pytest.skip("tokens have no gradient")
    network = built(family, kind, **chosen)
    x = rows(kind, [3, N_STEPS]).requires_grad_()
    network(x)[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0, 3:].eq(0).all()
    seen = [0, -1] if chosen.get("pooling") == "max" else range(N_STEPS)
    assert all(x.grad[1, step].ne(0).any() for step in seen)


@every_case
def test_a_row_without_any_step_has_a_finite_answer(
    family: str, kind: str, chosen: dict[str, Any]
) -> None:
    x = torch.zeros_like(rows(kind, [1, 1]))
    assert built(family, kind, **chosen)(x).isfinite().all()


@every_case
def test_the_order_of_steps_has_an_effect(family: str, kind: str, chosen: dict[str, Any]) -> None:
    network = built(family, kind, **chosen)
    x = rows(kind, [N_STEPS])
    assert not torch.allclose(network(x), network(x.flip(1)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", POOLINGS)
def test_a_sequence_that_is_not_padded_has_no_mark(family: str) -> None:
    network = built(family, "sequence", padded=False)
    x = torch.randn(4, N_STEPS, N_CHANNELS)
    x[..., -1] = 0.0
    moved = x.clone()
    moved[:, -2] += 1.0
    assert not torch.allclose(network(x), network(moved))


@every_case
def test_the_size_of_a_batch_can_be_told_without_memory(
    family: str, kind: str, chosen: dict[str, Any]
) -> None:
    with torch.device("meta"):
        network = built(family, kind, **chosen)
        known = DataFacts(
            input_shape=(N_STEPS,) if kind == "text" else (N_STEPS, N_CHANNELS),
            input_kind="text" if kind == "text" else "sequence",
            n_outputs=2,
            n_tokens=N_TOKENS if kind == "text" else None,
            padded=True,
        )
        assert network(known.blank(4)).shape == (4, 2)


@every_case
def test_noise_is_no_wider_than_what_it_drops(
    family: str, kind: str, chosen: dict[str, Any]
) -> None:
    network = built(family, kind, **chosen)
    x = rows(kind, [3, N_STEPS])
    noise = {
        place: torch.zeros(shape)
        for place, shape in network.noise_shapes(2).items()  # type: ignore[operator]
        if place.startswith("dropout")
    }
    assert noise
    dropped = network(x, noise, {"dropout": 0.5})
    assert torch.equal(dropped, network(x, noise, {"dropout": 0.5}))
    assert not torch.allclose(dropped, network(x))
