import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.layers.noise import draw_noise, drop, drop_at, number_of

CPU = torch.device("cpu")
SHAPES = {"a": (3, 4), "b": (2, 1, 5), "c": ()}


def test_noise_has_the_names_and_shapes_that_were_asked_for() -> None:
    noise = draw_noise(SHAPES, seed=0, device=CPU)
    assert {name: tuple(part.shape) for name, part in noise.items()} == SHAPES


@given(st.integers(0, 2**32 - 1))
def test_noise_is_uniform_below_1_and_a_function_of_its_seed(seed: int) -> None:
    noise, again = (draw_noise(SHAPES, seed=seed, device=CPU) for _ in range(2))
    assert all(bool(((part >= 0) & (part < 1)).all()) for part in noise.values())
    assert all(torch.equal(noise[name], again[name]) for name in SHAPES)


def test_another_seed_gives_other_noise() -> None:
    one, other = (draw_noise({"a": (8,)}, seed=seed, device=CPU)["a"] for seed in (0, 1))
    assert not torch.equal(one, other)


def test_two_parts_have_different_noise() -> None:
    noise = draw_noise({"a": (8,), "b": (8,)}, seed=0, device=CPU)
    assert not torch.equal(noise["a"], noise["b"])


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    draw_noise(SHAPES, seed=0, device=CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_drawn_for_no_shapes() -> None:
    assert draw_noise({}, seed=0, device=CPU) == {}


def test_no_noise_drops_nothing() -> None:
    x = torch.randn(3, 4)
    assert drop(x, None, 0.5) is x


@given(p=st.floats(0, 0.75, width=32), seed=st.integers(0, 99))
def test_an_entry_is_dropped_or_scaled_up(p: float, seed: int) -> None:
    noise = draw_noise({"a": (4, 5)}, seed=seed, device=CPU)["a"]
    dropped = drop(torch.ones(4, 5), noise, p)
    expected = torch.where(noise >= p, torch.tensor(1 / (1 - p)), torch.tensor(0.0))
    torch.testing.assert_close(dropped, expected)


def test_dropping_keeps_the_mean() -> None:
    noise = (torch.arange(100) / 100)[:, None]
    assert drop(torch.ones(100, 1), noise, 0.25).mean().item() == torch.tensor(1.0)


def test_a_probability_of_0_drops_nothing() -> None:
    x, noise = torch.randn(3, 4), torch.zeros(3, 4)
    assert torch.equal(drop(x, noise, 0.0), x)


def test_the_probability_may_be_a_tensor() -> None:
    x, noise = torch.randn(3, 4), torch.rand(3, 4)
    assert torch.equal(drop(x, noise, torch.tensor(0.5)), drop(x, noise, 0.5))


def test_a_place_is_dropped_by_its_own_noise_and_number() -> None:
    x, noise = torch.ones(2, 3), {"a.0": torch.zeros(2, 3), "b": torch.ones(2, 3)}
    numbers = {"a": 0.5, "b": 0.5}
    assert drop_at("a.0", x, noise, numbers).tolist() == [[0.0] * 3] * 2
    assert drop_at("b", x, noise, numbers).tolist() == [[2.0] * 3] * 2


def test_a_place_without_noise_is_left_as_it_is() -> None:
    x = torch.ones(2, 3)
    assert drop_at("a.1", x, {"a.0": torch.zeros(2, 3)}, {"a": 0.5}) is x
    assert drop_at("a.1", x, None, {"a": 0.5}) is x
    assert drop_at("a.1", x, {"a.1": torch.zeros(2, 3)}, None) is x


def test_a_place_may_have_a_share_of_its_number() -> None:
    x, noise = torch.ones(1, 4), {"a.0": torch.tensor([[0.1, 0.2, 0.3, 0.9]])}
    halved = drop_at("a.0", x, noise, {"a": 0.5}, share=0.5)
    torch.testing.assert_close(halved, torch.tensor([[0.0, 0.0, 4 / 3, 4 / 3]]))


def test_a_place_is_called_after_its_number() -> None:
    assert number_of("residual_dropout.3.dense") == "residual_dropout"
    assert number_of("dropout") == "dropout"
