from typing import Annotated, Literal

import pytest
from pydantic import ValidationError

from lightning_modules.registry import Registry
from lightning_modules.settings import PLUGIN_KINDS, Settings, Tagged, number, shape


class Cat(Settings):
    kind: Literal["cat"] = "cat"
    lives: int = shape(9, ge=1)
    purr: float = number(0.5)


class Dog(Settings):
    kind: Literal["dog"] = "dog"


class Entry:
    def __init__(self, config: type[Settings]) -> None:
        self.config = config


PETS: Registry[Entry] = Registry("pet")
PETS.register("cat")(Entry(Cat))
PETS.register("dog")(Entry(Dog))


class Home(Settings):
    pet: Annotated[Settings, Tagged(PETS, "kind")] = Cat()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Cat.model_validate({"live": 3})


@pytest.mark.parametrize("value", ["3", 3.0, True, None])
def test_a_value_of_another_type_is_not_converted(value: object) -> None:
    with pytest.raises(ValidationError, match="lives"):
        Cat.model_validate({"lives": value})


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_is_finite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Cat(purr=value)


def test_a_whole_number_is_a_float_too() -> None:
    assert Cat(purr=1).purr == 1.0


def test_settings_cannot_change_later() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Cat().lives = 3  # type: ignore[misc]


def test_a_default_is_checked_like_a_value() -> None:
    class Wrong(Settings):
        lives: int = shape(0, ge=1)

    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Wrong()


@pytest.mark.parametrize(("field", "role"), [("lives", "shape"), ("purr", "number")])
def test_a_field_knows_its_role(field: str, role: str) -> None:
    assert Cat.model_fields[field].json_schema_extra == {"role": role}


def test_the_tag_chooses_the_model() -> None:
    assert Home.model_validate({"pet": {"kind": "dog"}}).pet == Dog()
    assert Home.model_validate({"pet": {"kind": "cat", "lives": 3}}).pet == Cat(lives=3)


def test_tagged_settings_come_back_from_plain_values() -> None:
    home = Home(pet=Cat(lives=3))
    assert home.model_dump() == {"pet": {"kind": "cat", "lives": 3, "purr": 0.5}}
    assert Home.model_validate(home.model_dump()) == home
    assert Home.model_validate_json(home.model_dump_json()) == home


def test_a_default_under_a_tag_is_kept() -> None:
    assert Home().pet == Cat()


@pytest.mark.parametrize("pet", [{}, {"kind": 3}, {"kind": ["cat"]}, {"lives": 3}])
def test_a_missing_tag_gets_all_names(pet: object) -> None:
    with pytest.raises(ValidationError, match="kind is missing; one of: cat, dog"):
        Home.model_validate({"pet": pet})


def test_an_unknown_tag_gets_the_nearest_name() -> None:
    with pytest.raises(ValidationError, match=r"no pet 'cta'; did you mean 'cat'\?"):
        Home.model_validate({"pet": {"kind": "cta"}})


@pytest.mark.parametrize("kind", PLUGIN_KINDS)
def test_a_name_that_a_plugin_can_define_is_told_how_plugins_come(kind: str) -> None:
    class Open(Settings):
        thing: Annotated[Settings, Tagged(Registry[Entry](kind), "name")]

    with pytest.raises(ValidationError, match=f"no {kind} 'mine'.*comes with --plugin FILE"):
        Open.model_validate({"thing": {"name": "mine"}})


@pytest.mark.parametrize("pet", ["cat", 3, None, ["cat"]])
def test_a_tagged_value_is_a_mapping(pet: object) -> None:
    with pytest.raises(ValidationError, match="needs a mapping with the key 'kind'"):
        Home.model_validate({"pet": pet})


def test_settings_of_another_union_are_refused() -> None:
    class Stone(Settings):
        colour: str = "grey"

    with pytest.raises(ValidationError, match="kind is missing; one of: cat, dog"):
        Home(pet=Stone())


def test_a_mistake_below_a_tag_keeps_its_path() -> None:
    with pytest.raises(ValidationError) as caught:
        Home.model_validate({"pet": {"kind": "cat", "lives": 0}})
    assert [error["loc"] for error in caught.value.errors()] == [("pet", "lives")]


def test_an_entry_that_is_registered_later_is_accepted_from_then_on() -> None:
    class Fish(Settings):
        kind: Literal["fish"] = "fish"

    with pytest.raises(ValidationError, match="no pet 'fish'"):
        Home.model_validate({"pet": {"kind": "fish"}})
    PETS.register("fish")(Entry(Fish))
    assert Home.model_validate({"pet": {"kind": "fish"}}).pet == Fish()


def test_the_json_schema_lists_every_branch() -> None:
    schema = Home.model_json_schema()
    branches = schema["properties"]["pet"]["oneOf"]
    assert len(branches) == len(PETS)
