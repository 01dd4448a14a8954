import pytest
import torch

from lightning_modules.errors import UsageError
from lightning_modules.families.vit import VitConfig
from lightning_modules.networks.vit import build_vit

SMALL = VitConfig(n_layers=2, width=8, n_heads=2, patch_size=2)


@pytest.mark.parametrize(("head", "n_tokens"), [("mean", 12), ("first", 13)])
def test_every_patch_is_a_token(head: str, n_tokens: int) -> None:
    config = VitConfig.model_validate({"patch_size": 2, "width": 8, "n_heads": 2, "head": head})
    network = build_vit(config, (3, 8, 6), 5)
    assert network.n_tokens == n_tokens
    assert network.noise_shapes(4)["attention_dropout.0"] == (4, 2, n_tokens, n_tokens)
    assert network(torch.randn(4, 3, 8, 6)).shape == (4, 5)


@pytest.mark.parametrize(
    ("side", "hint"), [((28, 27), "one of: 1"), ((8, 12), "one of: 1, 2, 4"), ((9, 6), "1, 3")]
)
def test_patches_that_do_not_divide_the_image_are_refused(side: tuple[int, int], hint: str) -> None:
    config = VitConfig(patch_size=5)
    what = f"model.patch_size: 5 does not divide images of {side[0]} by {side[1]} pixels; .*{hint}"
    with pytest.raises(UsageError, match=what):
        build_vit(config, (1, *side), 3)


def test_a_patch_is_known_by_its_place() -> None:
    network = build_vit(SMALL, (1, 4, 4), 3)
    x = torch.randn(2, 1, 4, 4)
    moved = x.flip(3)
    assert not torch.allclose(network(x), network(moved))
    torch.nn.init.zeros_(network.places)
    left, right = x[..., :2], x[..., 2:]
    swapped = torch.cat([right, left], dim=3)
    torch.testing.assert_close(network(x), network(swapped))


def test_rows_can_skip_every_block() -> None:
    network = build_vit(SMALL, (1, 4, 4), 3)
    noise = {
        place: torch.zeros(shape)
        for place, shape in network.noise_shapes(5).items()
        if place.startswith("drop_path")
    }
    x = torch.randn(5, 1, 4, 4)
    tokens = network.patches(x).flatten(2).transpose(1, 2) + network.places.view(4, 8)
    out = network(x, {p: n for p, n in noise.items() if ".1." in p}, {"drop_path": 0.5})
    assert not torch.allclose(out, network.out(network.norm(tokens).mean(1)))
    noise = {place: torch.full_like(shape, 0.1) for place, shape in noise.items()}
    out = network(x, noise, {"drop_path": 0.5})
    torch.testing.assert_close(out, network.out(network.norm(tokens).mean(1)))


def test_what_is_not_decayed_has_one_dimension() -> None:
    config = VitConfig.model_validate({"width": 8, "n_heads": 2, "head": "first"})
    network = build_vit(config, (1, 8, 8), 3)
    assert network.places.ndim == 1
    assert network.first is not None
    assert network.first.ndim == 1
