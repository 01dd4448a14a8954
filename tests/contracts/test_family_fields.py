"""Every field of every family has an effect on what is trained."""

from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from lightning_modules.config import RunConfig
from lightning_modules.families import FAMILIES
from lightning_modules.families.embedding import EMBEDDINGS
from lightning_modules.module import SupervisedModule
from lightning_modules.settings import Settings, number_fields
from tests.contracts.inputs import facts, kinds_of, rows, targets

N_ROWS = 8
SMALL = {"n_layers": 2, "n_stages": 2, "n_members": 2, "width": 8, "n_heads": 2, "growth": 1.0}
FIELDS = [
    (name, field)
    for name, family in FAMILIES.items()
    for field in family.config.model_fields
    if field != "family"
]
EMBEDDING_FIELDS = [
    (name, field)
    for name, entry in EMBEDDINGS.items()
    for field in entry.config.model_fields
    if field != "name"
]


def small(family: str) -> dict[str, Any]:
    fields = FAMILIES[family].config.model_fields
    return {"family": family} | {key: value for key, value in SMALL.items() if key in fields}


def other(model: type[Settings], field: str, value: Any) -> Any:
    """Return another value of ``field`` than ``value``."""
    if isinstance(value, Settings):
        return {"name": "periodic"}
    annotation = model.model_fields[field].annotation
    if get_origin(annotation) is Literal:
        return next(choice for choice in get_args(annotation) if choice != value)
    if isinstance(value, bool):
        return not value
    if value is None:
        return [4, 4, 4]
    if field in number_fields(model):
        return 0.4 if value != 0.4 else 0.3
    return 2 * value


def trained(settings: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights after a few steps from one and the same start."""
    inputs = kinds_of(settings["family"])[-1]
    config = RunConfig.model_validate(
        {"task": {"kind": "multiclass"}, "data": {"source": "iris"}, "model": settings}
    )
    torch.manual_seed(0)
    module = SupervisedModule(config, facts(inputs, "multiclass"))
    optimizer = torch.optim.SGD(module.network.parameters(), lr=0.5)
    batch = (rows(inputs, N_ROWS), targets("multiclass", N_ROWS))
    for step in range(4):
        params, buffers = (
            dict(named())
            for named in (module.network.named_parameters, module.network.named_buffers)
        )
        noise = module.noise(N_ROWS, step)
        optimizer.zero_grad()
        module.loss(params, buffers, batch, noise, module.numbers)[0].backward()
        optimizer.step()
    return {name: p.detach() for name, p in module.network.named_parameters()}


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("family", "field"), FIELDS)
def test_another_value_of_a_field_trains_another_network(family: str, field: str) -> None:
    model = FAMILIES[family].config
    settings = small(family)
    value = getattr(model.model_validate(settings), field)
    changed = {**settings, field: other(model, field, value)}
    if field == "layers":
        changed = {"family": family, field: changed[field]}
    assert equal(trained(settings), trained(settings))
    assert not equal(trained(settings), trained(changed))


@pytest.mark.parametrize(("embedding", "field"), EMBEDDING_FIELDS)
def test_another_value_of_an_embeddings_field_trains_another_network(
    embedding: str, field: str
) -> None:
    model = EMBEDDINGS[embedding].config
    settings = {**small("resnet_mlp"), "embedding": {"name": embedding}}
    value = getattr(model(), field)
    changed = {**settings, "embedding": {"name": embedding, field: other(model, field, value)}}
    assert not equal(trained(settings), trained(changed))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_field_is_refused(family: str) -> None:
    with pytest.raises(ValidationError, match="n_layres"):
        FAMILIES[family].config.model_validate({"n_layres": 2})
