import torch
from torch import nn

from lightning_modules.families.text_cnn import TextCnnConfig
from lightning_modules.networks.text_cnn import TextCnn, build_text_cnn


def built(**chosen: object) -> TextCnn:
    torch.manual_seed(0)
    config = TextCnnConfig.model_validate({"width": 8, "n_filters": 4, **chosen})
    return build_text_cnn(config, (6,), 2, n_tokens=9, padded=True).eval()


def test_a_phrase_is_found_wherever_it_stands() -> None:
    network = built(kernels=[2])
    nn.init.zeros_(network.entrance.vectors.weight[1])
    early, late = torch.tensor([[7, 8, 1, 1, 1, 1]]), torch.tensor([[1, 1, 1, 7, 8, 1]])
    torch.testing.assert_close(network(early), network(late))
    assert not torch.allclose(network(early), network(torch.tensor([[8, 7, 1, 1, 1, 1]])))


def test_every_kernel_has_its_filters() -> None:
    network = built(kernels=[2, 3, 3])
    assert network.noise_shapes(5) == {"dropout": (5, 12)}
    assert [tuple(one.weight.shape) for one in network.filters] == [(4, 8, 2), (4, 8, 3), (4, 8, 3)]


def test_a_text_may_be_shorter_than_a_phrase() -> None:
    network = built(kernels=[9])
    assert network(torch.tensor([[3, 0, 0, 0, 0, 0]])).isfinite().all()
