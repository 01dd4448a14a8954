"""Hidden units are removed whole: what is left is the same network without them."""

from typing import Any

import pytest
import torch

from hpo.compress.units import smaller, units_of
from lightning_modules.build import RunData, build_module
from lightning_modules.config import RunConfig
from lightning_modules.data.facts import DataFacts
from lightning_modules.module import SupervisedModule

SHAPES: dict[str, tuple[tuple[int, ...], Any]] = {
    "features": ((6,), "features"),
    "image": ((2, 9, 8), "image"),
    "sequence": ((7, 3), "sequence"),
}
CASES = [
    ({"family": "mlp", "layers": [12, 8, 10]}, "features"),
    ({"family": "mlp", "layers": [12, 8], "norm": "batch"}, "image"),
    ({"family": "mlp", "layers": [9]}, "sequence"),
    ({"family": "resnet_mlp", "width": 12, "hidden_factor": 1.5}, "features"),
    ({"family": "cnn", "layers": [6, 8], "norm": "none", "head": "flat"}, "image"),
    ({"family": "cnn", "layers": [6, 8, 10], "norm": "batch", "head": "mean"}, "image"),
    ({"family": "transformer", "width": 8, "n_heads": 2}, "sequence"),
    ({"family": "vit", "patch_size": 1, "width": 8, "n_heads": 2, "n_layers": 2}, "image"),
    ({"family": "ft_transformer", "width": 8, "n_heads": 2}, "features"),
]


def module_of(model: dict[str, Any], kind: str, seed: int = 0) -> SupervisedModule:
    values = {"task": {"kind": "multiclass"}, "data": {"source": "digits"}, "model": model}
    return rebuilt(RunConfig.model_validate(values), kind, seed)


def rebuilt(config: RunConfig, kind: str, seed: int = 0) -> SupervisedModule:
    torch.manual_seed(seed)
    shape, input_kind = SHAPES[kind]
    facts = DataFacts(input_shape=shape, n_outputs=3, input_kind=input_kind)
    module = build_module(config, RunData(prepared=None, facts=facts))
    assert isinstance(module, SupervisedModule)
    return module.eval()


def with_statistics(module: SupervisedModule) -> None:
    """Give batch norms something of their own to lose."""
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)


@pytest.mark.parametrize(("model", "kind"), CASES, ids=str)
def test_units_that_nothing_reads_are_removed_without_a_trace(
    model: dict[str, Any], kind: str
) -> None:
    module = module_of(model, kind)
    with_statistics(module)
    state = module.state_dict()
    layers = units_of(module.config, state)
    assert layers
    for units in layers:  # every other unit
        n_units = units.size(state)
        weight = state[units.out.name].movedim(units.out.axis, 0)
        weight.view(units.out.copies, n_units, units.out.each, -1)[:, ::2] = 0
    x = torch.randn(5, *SHAPES[kind][0])
    before = module(x)
    config, left = smaller(module.config, state, layers, 0.5)
    after = rebuilt(config, kind, seed=1)
    after.load_state_dict(left)
    torch.testing.assert_close(after(x), before, atol=1e-6, rtol=1e-5)
    assert sum(one.numel() for one in left.values()) < sum(one.numel() for one in state.values())


def test_the_config_says_the_sizes_that_are_left() -> None:
    module = module_of({"family": "mlp", "n_layers": 2, "width": 10}, "features")
    state = module.state_dict()
    config, _ = smaller(module.config, state, units_of(module.config, state) or [], 0.6)
    assert config.plain()["model"]["layers"] == [4, 4]
    assert config.plain()["model"]["n_layers"] is None


def test_one_unit_is_always_left() -> None:
    module = module_of({"family": "mlp", "layers": [2, 3]}, "features")
    state = module.state_dict()
    config, _ = smaller(module.config, state, units_of(module.config, state) or [], 0.99)
    assert config.plain()["model"]["layers"] == [1, 1]


def test_behind_a_batch_norm_a_units_scale_counts_and_not_the_weights_into_it() -> None:
    module = module_of({"family": "mlp", "layers": [4], "norm": "batch"}, "features")
    state = module.state_dict()
    units = (units_of(module.config, state) or [])[0]
    before = units.importance(state)
    state[units.into.name][0] *= 100
    torch.testing.assert_close(units.importance(state), before)
    state["network.blocks.0.1.weight"][1] *= 100
    assert units.importance(state).argmax() == 1


def test_a_family_whose_sizes_hang_together_has_no_units_to_remove() -> None:
    module = module_of({"family": "gru", "width": 8}, "sequence")
    assert units_of(module.config, module.state_dict()) is None
