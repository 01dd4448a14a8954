import pytest
import torch
from torch import nn

from lightning_modules.errors import UsageError
from lightning_modules.families.ft_transformer import FtTransformerConfig
from lightning_modules.muon import Muon, matrices, orthogonal
from lightning_modules.networks.ft_transformer import build_ft_transformer
from lightning_modules.optim import MuonConfig
from lightning_modules.optimizers import build_optimizer


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(9, 4)
        self.filters = nn.Conv1d(4, 6, 3)
        self.memory = nn.GRU(6, 5)
        self.norm = nn.LayerNorm(5)
        self.scale = nn.Parameter(torch.ones(2, 5))
        self.out = nn.Linear(5, 2)


def names(network: nn.Module) -> set[str]:
    chosen = {id(parameter) for parameter in matrices(network)}
    return {name for name, p in network.named_parameters() if id(p) in chosen}


def stepped(config: MuonConfig, network: nn.Module, n_steps: int = 3) -> None:
    optimizer = build_optimizer(config, network, n_steps=n_steps)
    for step in range(n_steps):
        generator = torch.Generator().manual_seed(step)
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def test_matrices_are_hidden_weights_and_kernels_alone() -> None:
    hidden = {"filters.weight", "memory.weight_ih_l0", "memory.weight_hh_l0"}
    assert names(Text()) == hidden
    frozen = Text()
    frozen.filters.requires_grad_(False)
    assert names(frozen) == hidden - {"filters.weight"}


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (1, 6)])
def test_an_orthogonal_matrix_has_singular_values_near_1(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert bool(((values > 0.6) & (values < 1.3)).all())


def test_matrices_move_as_by_torchs_muon_and_the_rest_as_by_adamw() -> None:
    ours, theirs = (nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    stepped(MuonConfig(lr=0.01, adamw_factor=0.5, weight_decay=0.1, momentum=0.9), ours)
    rest = [theirs[0].bias, theirs[1].bias]
    optimizers = [
        torch.optim.Muon(
            [theirs[0].weight],
            lr=0.01,
            weight_decay=0.1,
            momentum=0.9,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW([theirs[1].weight], lr=0.005, weight_decay=0.1),
        torch.optim.AdamW(rest, lr=0.005, weight_decay=0.0),
    ]
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for parameter in theirs.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours[0].weight, theirs[0].weight, atol=1e-3, rtol=0)  # bfloat16
    assert torch.equal(ours[1].weight, theirs[1].weight)
    assert torch.equal(ours[0].bias, theirs[0].bias)


def test_a_kernel_moves_as_the_matrix_that_it_is_when_laid_flat() -> None:
    kernel = nn.Sequential(nn.Conv2d(3, 8, 2), nn.Linear(8, 2))
    flat = nn.Sequential(nn.Linear(12, 8), nn.Linear(8, 2))
    with torch.no_grad():
        flat[0].weight.copy_(kernel[0].weight.flatten(1))
    stepped(MuonConfig(), kernel, 1)
    stepped(MuonConfig(), flat, 1)
    torch.testing.assert_close(kernel[0].weight.flatten(1), flat[0].weight)


def test_a_loaded_state_goes_on_to_the_same_bits() -> None:
    whole, twice = (nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)) for _ in range(2))
    twice.load_state_dict(whole.state_dict())
    first, second = (build_optimizer(MuonConfig(), one, n_steps=4) for one in (whole, twice))
    for step in range(4):
        if step == 2:
            kept = second.state_dict()
            second = build_optimizer(MuonConfig(lr=0.5), twice, n_steps=4)
            second.load_state_dict(kept)
        for optimizer, network in ((first, whole), (second, twice)):
            generator = torch.Generator().manual_seed(step)
            for parameter in network.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
    assert isinstance(second, Muon)
    assert all(map(torch.equal, whole.parameters(), twice.parameters()))


def test_a_network_of_an_output_layer_alone_is_refused() -> None:
    text = "^optimizer.name: muon would train nothing: .* before its output layer; use adamw$"
    with pytest.raises(UsageError, match=text):
        build_optimizer(MuonConfig(), nn.Linear(3, 2), n_steps=1)


def test_the_vectors_of_features_are_embeddings() -> None:
    network = build_ft_transformer(FtTransformerConfig(n_layers=1), (3,), 2)
    assert "tokens.weight" in dict(network.named_parameters())
    assert "tokens.weight" not in names(network)
    assert "blocks.0.attention.take.weight" in names(network)
