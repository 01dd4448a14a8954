"""Which parameters of every family are decayed, and which Muon takes for matrices."""

from typing import Any

import pytest
import torch

from lightning_modules.config import RunConfig
from lightning_modules.data.facts import DataFacts
from lightning_modules.families import FAMILIES
from lightning_modules.module import SupervisedModule
from lightning_modules.muon import matrices
from lightning_modules.optimizers import parameter_groups

SHAPES = {"features": (5,), "image": (1, 8, 8), "sequence": (6, 3), "text": (6,)}
CASES = [(name, inputs) for name, family in FAMILIES.items() for inputs in family.takes]
FACTORS = ("weight", "direction", "scale_in", "scale_out", "frequencies")
"""What multiplies, and is decayed; biases, norms, places and tokens have one dimension."""


def network(family: str, inputs: str, n_outputs: int = 3) -> torch.nn.Module:
    model: dict[str, Any] = {"family": family}
    if "embedding" in FAMILIES[family].config.model_fields:
        model["embedding"] = {"name": "periodic"}
    config = RunConfig.model_validate(
        {"task": {"kind": "multiclass"}, "data": {"source": "iris"}, "model": model}
    )
    of_text = {"n_tokens": 11, "padded": True} if inputs == "text" else {}
    facts = DataFacts(input_shape=SHAPES[inputs], n_outputs=n_outputs, **of_text)  # type: ignore[arg-type]
    with torch.device("meta"):
        return SupervisedModule(config, facts).network


@pytest.mark.parametrize(("family", "inputs"), CASES)
def test_only_what_multiplies_is_decayed(family: str, inputs: str) -> None:
    built = network(family, inputs)
    decayed, _ = parameter_groups(built.parameters(), 0.1)
    chosen = {id(p) for p in decayed["params"]}
    names = {name for name, p in built.named_parameters() if id(p) in chosen}
    assert names
    assert {name for name in names if not name.rpartition(".")[2].startswith(FACTORS)} == set()


@pytest.mark.parametrize(("family", "inputs"), CASES)
def test_muon_finds_matrices_none_of_which_knows_the_outputs_or_tokens(
    family: str, inputs: str
) -> None:
    one, other = network(family, inputs), network(family, inputs, n_outputs=4)
    shapes = [[tuple(p.shape) for p in matrices(built)] for built in (one, other)]
    assert shapes[0] == shapes[1]
    assert shapes[0]
    everything = [[tuple(p.shape) for p in built.parameters()] for built in (one, other)]
    assert everything[0] != everything[1]
    assert all(11 not in shape for shape in shapes[0])
