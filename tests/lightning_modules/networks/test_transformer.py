import pytest
import torch
from pydantic import ValidationError

from lightning_modules.families.transformer import TransformerConfig
from lightning_modules.networks.transformer import Transformer, build_transformer, waves


def built(**chosen: object) -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig.model_validate({"width": 8, "n_heads": 2, **chosen})
    return build_transformer(config, (5, 3), 2, n_tokens=None, padded=False).eval()


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValidationError, match="3 heads cannot share a width of 8"):
        TransformerConfig(width=8, n_heads=3)


@pytest.mark.parametrize(("pooling", "n_tokens"), [("mean", 5), ("last", 5), ("first", 6)])
def test_every_step_is_a_token(pooling: str, n_tokens: int) -> None:
    shapes = built(pooling=pooling).noise_shapes(4)
    assert shapes["attention_dropout.0"] == (4, 2, n_tokens, n_tokens)
    assert shapes["dropout.1"] == (4, n_tokens, 16)


def test_waves_tell_every_place_from_every_other() -> None:
    places = waves(50, 8)
    assert places.shape == (50, 8)
    assert places.abs().max() <= 1
    distances = torch.cdist(places, places) + torch.eye(50)
    assert distances.min() > 0.1
    assert waves(3, 5).shape == (3, 5)


def test_waves_of_equal_distance_look_alike_everywhere() -> None:
    places = waves(50, 8)
    torch.testing.assert_close((places[3] @ places[7]), (places[33] @ places[37]))


def test_learned_places_are_not_decayed_and_waves_are_not_trained() -> None:
    learned = dict(built(places="learned").named_parameters())
    assert learned["places.vectors"].shape == (5 * 8,)
    waved = built(places="sinusoidal")
    assert "places.vectors" not in dict(waved.named_parameters())
    assert "places.vectors" not in waved.state_dict()


def test_without_places_the_mean_of_a_transformer_knows_no_order() -> None:
    network = built(places="learned")
    x = torch.randn(2, 5, 3)
    assert not torch.allclose(network(x), network(x.flip(1)))
    torch.nn.init.zeros_(network.places.vectors)
    torch.testing.assert_close(network(x), network(x.flip(1)))
