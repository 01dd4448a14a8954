from collections.abc import Mapping
from typing import Any

import psutil
import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from lightning_modules.build import RunData, build_module, open_data
from lightning_modules.config import RunConfig
from lightning_modules.errors import TrialFailed, UsageError
from lightning_modules.families import FAMILIES
from lightning_modules.feasible import Infeasible, measure_config
from lightning_modules.module import SupervisedModule

ROOM = 1e9


def config_of(model: Mapping[str, Any], **sections: Any) -> RunConfig:
    base = {
        "task": {"kind": "multiclass"},
        "data": {"source": "digits"},
        "model": model,
        "optimizer": {"name": "adam"},
        "trainer": {"batch_size": 64, "accelerator": "cpu"},
        "seed": 0,
    }
    return RunConfig.model_validate({**base, **sections})


@pytest.fixture(scope="module")
def digits() -> RunData:
    return open_data(config_of({"family": "mlp"}))


@pytest.mark.parametrize(
    "family", [name for name, family in FAMILIES.items() if "image" in family.takes]
)
def test_what_is_measured_is_the_network_that_is_trained(family: str, digits: RunData) -> None:
    config = config_of({"family": family})
    measured = measure_config(
        config, digits, {"n_parameters": 1e9, "size_mb": 1e9}, room_bytes=ROOM
    )
    parameters = list(build_module(config, digits).parameters())
    assert measured["n_parameters"] == sum(p.numel() for p in parameters)
    assert measured["size_mb"] == sum(p.numel() * 4 for p in parameters) / 1e6


def test_a_latency_is_milliseconds_of_one_row(digits: RunData) -> None:
    config = config_of({"family": "mlp"})
    measured = measure_config(config, digits, {"latency_ms": 1e9}, room_bytes=ROOM)
    assert 0 < measured["latency_ms"] < 1000


def test_every_limit_that_is_exceeded_is_named_and_graded(digits: RunData) -> None:
    config = config_of({"family": "mlp", "n_layers": 1, "width": 100})
    n_parameters = 64 * 100 + 100 + 100 * 10 + 10
    limits = {"n_parameters": n_parameters / 4, "size_mb": 4 * n_parameters / 1e6 / 2}
    with pytest.raises(Infeasible, match=r"n_parameters 7,510 is over .*, size_mb") as caught:
        measure_config(config, digits, limits, room_bytes=ROOM)
    assert caught.value.reason == "infeasible"
    assert caught.value.violation == pytest.approx(3.0 + 1.0)
    assert caught.value.measured["n_parameters"] == n_parameters


def test_a_network_that_no_machine_holds_is_refused_without_being_made(digits: RunData) -> None:
    config = config_of({"family": "mlp", "layers": [2**20, 2**20]})  # 4 TB of weights
    before = psutil.Process().memory_info().rss
    with pytest.raises(Infeasible, match=r"training needs .* GB of memory at least") as caught:
        measure_config(config, digits, {}, room_bytes=float(psutil.virtual_memory().total))
    assert caught.value.violation > 0
    assert psutil.Process().memory_info().rss - before < 100e6


def test_the_memory_of_a_training_is_not_overestimated(digits: RunData) -> None:
    """What is refused could not be trained: weights, Adam's two states, what autograd keeps."""
    config = config_of({"family": "cnn"})
    module = build_module(config, digits)
    assert isinstance(module, SupervisedModule)
    weights = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, Any] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = module(torch.randn(64, *module.facts.input_shape)).sum()
    size = sum(p.numel() * 4 for p in module.parameters())
    needed = 3 * size + max(sum(storage.nbytes() for storage in kept.values()), size)
    assert loss.requires_grad
    measure_config(config, digits, {}, room_bytes=needed)
    with pytest.raises(Infeasible):
        measure_config(config, digits, {}, room_bytes=0.9 * needed)


class _TooWide(nn.Module):
    def __init__(self, _config: Any, input_shape: tuple[int, ...], n_outputs: int) -> None:
        super().__init__()
        self.out = nn.Linear(input_shape[0], n_outputs + 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x.flatten(1))


def test_outputs_that_do_not_fit_the_task_are_named(
    digits: RunData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss takes two classes too many without a word."""
    family = FAMILIES["mlp"]
    config = config_of({"family": "mlp"})
    wide = type(family)(config=family.config, builder=lambda c, s, n: _TooWide(c, (64,), n))
    monkeypatch.setitem(FAMILIES._entries, "mlp", wide)
    with pytest.raises(
        TrialFailed, match=r"mlp gives outputs \(64, 12\), the task needs \(64, 10\)"
    ):
        measure_config(config, digits, {}, room_bytes=ROOM)


def test_a_limit_on_what_cannot_be_measured_is_a_mistake(digits: RunData) -> None:
    foreign = RunData(prepared=None, facts=digits.facts)
    with pytest.raises(UsageError, match=r"constraints.latency_ms: no latency can be measured"):
        measure_config(config_of({"family": "mlp"}), foreign, {"latency_ms": 1.0}, room_bytes=ROOM)
