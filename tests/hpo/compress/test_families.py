"""Hidden units are removed whole: what is left is the same network without them."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from hpo.compress.families import smaller, units_of
from hpo.compress.units import State
from hpo.errors import UsageError
from lightning_modules.build import RunData, build_module
from lightning_modules.config import RunConfig
from lightning_modules.data.facts import DataFacts
from lightning_modules.families import FAMILIES
from lightning_modules.module import SupervisedModule

N_TOKENS = 11
FACTS = {
    "features": DataFacts(input_shape=(6,), n_outputs=3),
    "image": DataFacts(input_shape=(2, 9, 8), n_outputs=3, input_kind="image"),
    "dot": DataFacts(input_shape=(1, 3, 3), n_outputs=3, input_kind="image"),
    "sequence": DataFacts(input_shape=(7, 3), n_outputs=3, input_kind="sequence"),
    "padded": DataFacts(input_shape=(7, 3), n_outputs=3, input_kind="sequence", padded=True),
    "text": DataFacts(input_shape=(7,), n_outputs=3, input_kind="text", n_tokens=N_TOKENS),
}
Case = tuple[dict[str, Any], str]
POOLINGS = {"last": "padded", "mean": "padded", "max": "text", "attention": "text"}
RECURRENT: list[Case] = [
    ({"family": "gru", "width": 8, "n_layers": n, "bidirectional": both, "pooling": pooling}, kind)
    for n, both, (pooling, kind) in product((1, 2), (False, True), POOLINGS.items())
]
CASES: list[Case] = [
    ({"family": "mlp", "layers": [12, 8, 10]}, "features"),
    ({"family": "mlp", "layers": [12, 8], "norm": "batch"}, "image"),
    ({"family": "mlp", "layers": [10]}, "sequence"),
    ({"family": "resnet_mlp", "width": 12, "hidden_factor": 1.5}, "features"),
    ({"family": "tabm", "width": 8, "n_layers": 3, "n_members": 4}, "features"),
    ({"family": "cnn", "layers": [6, 8], "norm": "none", "head": "flat"}, "image"),
    ({"family": "cnn", "layers": [6, 8, 10], "norm": "batch", "head": "mean"}, "image"),
    ({"family": "resnet", "width": 4, "n_blocks": 2, "norm": "batch"}, "image"),
    ({"family": "resnet", "width": 4, "n_stages": 2, "norm": "none"}, "image"),
    ({"family": "resnet", "width": 6, "n_stages": 4, "growth": 1.0}, "image"),
    ({"family": "transformer", "width": 8, "n_heads": 2}, "sequence"),
    ({"family": "vit", "patch_size": 1, "width": 8, "n_heads": 2, "n_layers": 2}, "image"),
    ({"family": "ft_transformer", "width": 8, "n_heads": 2}, "features"),
    ({"family": "text_cnn", "width": 6, "n_filters": 8, "kernels": [2, 3]}, "text"),
    ({"family": "tcn", "width": 8, "n_layers": 2, "pooling": "last"}, "sequence"),
    ({"family": "tcn", "width": 8, "n_layers": 1, "pooling": "attention"}, "text"),
    ({"family": "lstm", "width": 8, "n_layers": 2}, "sequence"),
    ({"family": "lstm", "width": 8, "bidirectional": False, "pooling": "max"}, "text"),
    ({"family": "rnn", "width": 8, "n_layers": 2}, "padded"),
    *RECURRENT,
]


def built(model: dict[str, Any] | RunConfig, kind: str, seed: int = 0) -> SupervisedModule:
    """Build a network whose biases, norms and statistics are all something to lose."""
    if not isinstance(model, RunConfig):
        values = {"task": {"kind": "multiclass"}, "data": {"source": "digits"}, "model": model}
        model = RunConfig.model_validate(values)
    torch.manual_seed(seed)
    module = build_module(model, RunData(prepared=None, facts=FACTS[kind]))
    assert isinstance(module, SupervisedModule)
    for one in module.state_dict().values():
        if one.ndim == 1:
            one.uniform_(0.5, 1.5)
    return module.eval()


def rows(kind: str) -> Tensor:
    """Return rows of different lengths, where they may have one."""
    shape, lengths = FACTS[kind].input_shape, torch.tensor([7, 5, 1, 7, 3])
    real = torch.arange(7) < lengths[:, None]
    if kind == "text":
        return torch.randint(1, N_TOKENS, (5, 7)) * real
    x = torch.randn(5, *shape)
    if kind == "padded":
        x[..., -1] = 1
        x *= real[..., None]
    return x


def sizes_of(module: SupervisedModule) -> list[int]:
    """Return how many units each layer has, the same in all their places."""
    state, found = module.state_dict(), []
    for units in units_of(module.config, state):
        (size,) = {place.positions(state).shape[1] for place in units.places()}
        found.append(size)
    return found


@pytest.mark.parametrize(("model", "kind"), CASES, ids=str)
def test_units_that_nothing_reads_are_removed_without_a_trace(
    model: dict[str, Any], kind: str
) -> None:
    module = built(model, kind)
    state = module.state_dict()
    for units in units_of(module.config, state):  # every other unit
        for place in units.out:
            weight = state[place.name].movedim(place.axis, 0)
            weight[place.positions(state)[:, ::2]] = 0
    x = rows(kind)
    before = module(x)
    config, left = smaller(module.config, state, 0.5)
    after = built(config, kind, seed=1)
    after.load_state_dict(left)
    torch.testing.assert_close(after(x), before, atol=1e-6, rtol=1e-5)
    assert [2 * size for size in sizes_of(after)] == sizes_of(module)


def test_every_family_of_ours_has_units_to_remove() -> None:
    ours = {
        name
        for name, family in FAMILIES.items()
        if str(family.builder).startswith("lightning_modules.networks.")
    }
    assert ours == {model["family"] for model, _ in CASES}


def test_the_config_says_the_sizes_that_are_left() -> None:
    module = built({"family": "mlp", "n_layers": 2, "width": 10}, "features")
    config, _ = smaller(module.config, module.state_dict(), 0.6)
    assert config.plain()["model"]["layers"] == [4, 4]
    assert config.plain()["model"]["n_layers"] is None
    module = built({"family": "text_cnn", "width": 10, "n_filters": 20}, "text")
    model = smaller(module.config, module.state_dict(), 0.6)[0].plain()["model"]
    assert (model["width"], model["n_filters"]) == (4, 8)


def test_one_unit_is_always_left() -> None:
    module = built({"family": "mlp", "layers": [2, 3]}, "features")
    config, _ = smaller(module.config, module.state_dict(), 0.99)
    assert config.plain()["model"]["layers"] == [1, 1]
    for width in (3, 1):
        module = built({"family": "lstm", "width": width}, "text")
        config, left = smaller(module.config, module.state_dict(), 0.99)
        assert config.plain()["model"]["width"] == 1
        built(config, "text").load_state_dict(left)


def test_behind_a_batch_norm_a_units_scale_counts_and_not_the_weights_into_it() -> None:
    module = built({"family": "mlp", "layers": [4], "norm": "batch"}, "features")
    state = module.state_dict()
    units = units_of(module.config, state)[0]
    before = units.importance(state)
    state["network.blocks.0.0.weight"][0] *= 100
    torch.testing.assert_close(units.importance(state), before)
    state["network.blocks.0.1.weight"][1] *= 100
    assert units.importance(state).argmax() == 1


def test_weights_that_count_by_their_direction_count_as_before_where_others_are_gone() -> None:
    def counted(state: State) -> Tensor:
        weight = state["network.blocks.0.second.direction.weight"]
        length = state["network.blocks.0.second.length"]
        return torch.einsum("oik,o->oik", weight, length / weight.flatten(1).norm(dim=1))

    module = built({"family": "tcn", "width": 8, "n_layers": 1}, "sequence")
    state = module.state_dict()
    for name in ("entrance.vectors.weight", "blocks.0.first.length"):
        state[f"network.{name}"][:4] *= 1e6  # these are kept
    _, left = smaller(module.config, state, 0.5)
    torch.testing.assert_close(counted(left), counted(state)[:4, :4])


@pytest.mark.parametrize("family", ["gru", "lstm"])
def test_others_stand_for_vectors_of_steps_that_are_gone(family: str) -> None:
    module = built({"family": family, "width": 12, "n_layers": 2}, "padded")
    state = module.state_dict()
    for units in units_of(module.config, state)[1:]:
        for place in units.out:
            weight = state[place.name].movedim(place.axis, 0)
            weight[place.positions(state)[:, ::2]] = 0
    x = rows("padded")
    before = module(x)
    config, left = smaller(module.config, state, 0.5)  # 6 vectors of 3 channels and 1
    after = built(config, "padded", seed=1)
    after.load_state_dict(left)
    torch.testing.assert_close(after(x), before, atol=1e-5, rtol=1e-4)


def test_each_direction_chooses_its_own_units() -> None:
    module = built({"family": "gru", "width": 4, "pooling": "mean"}, "sequence")
    state = module.state_dict()
    head = state["network.out.weight"]
    head[:] = 1e-3
    head[:, [0, 1, 6, 7]] = 1.0  # of there 0 and 1, of back 2 and 3
    _, left = smaller(module.config, state, 0.5)
    assert bool((left["network.out.weight"] == 1).all())
    for side, kept in (("there", [0, 1]), ("back", [2, 3])):
        name = f"network.layers.0.{side}.bias_hh_l0"
        assert torch.equal(left[name].view(3, 2), state[name].view(3, 4)[:, kept])


def test_where_channels_do_not_change_between_stages_they_do_not_afterwards() -> None:
    module = built({"family": "resnet", "width": 9, "n_stages": 2, "growth": 1.1}, "dot")
    assert "network.blocks.1.around.0.weight" in module.state_dict()
    config, left = smaller(module.config, module.state_dict(), 0.7)
    built(config, "dot").load_state_dict(left)
    assert config.plain()["model"]["width"] == 5  # 3 and 4 would round to as many again


def test_a_forecast_relative_to_its_level_is_found_inside() -> None:
    values = {
        "task": {"kind": "forecasting", "window": 7, "horizon": 3},
        "data": {"source": "seasonal"},
        "model": {"family": "gru", "width": 6},
    }
    module = built(RunConfig.model_validate(values), "sequence")
    assert all(name.startswith("network.network.") for name in module.state_dict())
    config, left = smaller(module.config, module.state_dict(), 0.5)
    built(config, "sequence").load_state_dict(left)


def test_what_has_no_units_is_refused() -> None:
    module = built({"family": "mlp", "layers": []}, "features")
    with pytest.raises(UsageError, match="no hidden units; --method dynamic"):
        units_of(module.config, module.state_dict())
