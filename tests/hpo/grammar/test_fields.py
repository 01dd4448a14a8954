from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from hpo.grammar.fields import Slot, field_slot, known_keys, section_model
from lightning_modules.config import RunConfig, TrainerConfig
from lightning_modules.families import FAMILIES
from lightning_modules.families.mlp import MlpConfig
from lightning_modules.optim import OPTIMIZERS, SCHEDULES
from lightning_modules.settings import Settings


class Inner(Settings):
    whole: int = 1


class Outer(Settings):
    whole: int = 1
    real: float | None = None
    bounded: Annotated[int, Field(ge=1)] | None = None
    flag: bool = True
    text: str = ""
    either: int | float = 1
    closed: Literal["a", "b"] = "a"
    several: list[Annotated[int, Field(ge=1)]] | None = None
    inner: Inner | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("whole", Slot(whole=True)),
        ("real", Slot(whole=False)),
        ("bounded", Slot(whole=True)),
        ("flag", Slot()),
        ("text", Slot()),
        ("either", Slot()),
        ("closed", Slot(allowed=("a", "b"))),
        ("several", Slot(item=Slot(whole=True))),
        ("inner", Slot(model=Inner)),
        ("anything", Slot()),
        ("absent", Slot()),
    ],
)
def test_a_slot_says_what_its_field_accepts(name: str, slot: Slot) -> None:
    assert field_slot(Outer, name) == slot


def test_a_field_of_no_model_has_an_empty_slot() -> None:
    assert field_slot(None, "width") == Slot()


def test_an_optional_union_is_found_under_its_none() -> None:
    tagged = field_slot(RunConfig, "optimizer").tagged
    assert tagged is not None
    assert tagged.registry is OPTIMIZERS


@pytest.mark.parametrize(
    ("section", "values", "model"),
    [
        ("model", {"family": "mlp"}, MlpConfig),
        ("model", {"family": "mpl"}, None),
        ("model", {}, None),
        ("model", "mlp", None),
        ("trainer", {}, TrainerConfig),
    ],
)
def test_a_section_has_the_model_that_its_tag_names(
    section: str, values: Any, model: type[Settings] | None
) -> None:
    assert section_model(field_slot(RunConfig, section), values) is model


@pytest.mark.parametrize("family", FAMILIES)
def test_the_known_keys_of_a_section_are_those_of_its_branch(family: str) -> None:
    values = {"model": {"family": family}}
    assert known_keys(RunConfig, values, ["model"]) == list(FAMILIES[family].config.model_fields)


def test_nothing_is_known_below_an_unknown_branch_or_a_plain_value() -> None:
    assert known_keys(RunConfig, {"model": {"family": "mpl"}}, ["model"]) == []
    assert known_keys(RunConfig, {"trainer": {"threads": 1}}, ["trainer", "threads"]) == []


def test_the_root_knows_every_section() -> None:
    assert known_keys(RunConfig, {}, []) == list(RunConfig.model_fields)


@pytest.mark.parametrize("registry", [FAMILIES, OPTIMIZERS, SCHEDULES], ids=lambda r: r.kind)
def test_no_config_field_bears_a_reserved_word(registry: Any) -> None:
    reserved = {"low", "high", "log", "step", "choices", "one_of", "length", "each"}
    for entry in registry.values():
        assert not reserved & set(entry.config.model_fields)
