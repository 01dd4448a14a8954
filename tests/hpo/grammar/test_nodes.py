from typing import Any

import pytest

from hpo.errors import Problem
from hpo.grammar.fields import Slot, field_slot
from hpo.grammar.nodes import Choices, Fixed, ListOf, Node, OneOf, Parser, Place, Range, Section
from lightning_modules.config import RunConfig
from lightning_modules.families.mlp import MlpConfig
from lightning_modules.optim import AdamwConfig

PLACE = Place(name="here", raw=("here",))
LIST = Slot(item=Slot(whole=True))
OPTIMIZER = field_slot(RunConfig, "optimizer")


def parse(value: Any, slot: Slot) -> tuple[Node, list[str]]:
    found: list[tuple[Place, Problem]] = []
    node = Parser(found.append).node(value, slot, PLACE)
    return node, [str(problem) for _, problem in found]


def right(value: Any, slot: Slot) -> Any:
    node, problems = parse(value, slot)
    assert problems == []
    return node


@pytest.mark.parametrize("value", [1, 0.5, "relu", True, None, [1, 2], "1e-3"])
def test_a_plain_value_is_fixed(value: Any) -> None:
    assert right(value, Slot()) == Fixed(place=PLACE, value=value)


def test_a_range_takes_its_type_from_the_field_not_from_its_literals() -> None:
    whole = right({"low": 1.0, "high": 4.0}, Slot(whole=True))
    real = right({"low": 1, "high": 4, "log": True}, Slot(whole=False))
    assert whole == Range(place=PLACE, low=1, high=4, log=False, step=None, whole=True)
    assert [type(whole.low), type(real.low)] == [int, float]
    assert (real.whole, real.log) == (False, True)


def test_a_range_keeps_its_step() -> None:
    assert right({"low": 16, "high": 64, "step": 16}, Slot(whole=True)).step == 16
    assert right({"low": 0, "high": 0.3, "step": 0.1}, Slot(whole=False)).step == 0.1


def test_choices_keep_their_order_and_types() -> None:
    node = right({"choices": [1, "a", None, 0.5, True]}, Slot())
    assert node == Choices(place=PLACE, choices=(1, "a", None, 0.5, True))


def test_one_of_parses_each_branch_under_its_name() -> None:
    branches = {"adamw": {"lr": {"low": 1e-4, "high": 0.1}}, "sgd": None}
    node = right({"one_of": branches}, OPTIMIZER)
    assert isinstance(node, OneOf)
    assert (node.tag, list(node.branches)) == ("name", ["adamw", "sgd"])
    lr = node.branches["adamw"].children["lr"]
    assert isinstance(lr, Range)
    assert lr.place == Place(name="here.adamw.lr", raw=("here", "one_of", "adamw", "lr"))
    assert node.branches["sgd"].children["name"] == Fixed(
        place=Place(name="here.sgd.name", raw=("here", "one_of", "sgd", "name")), value="sgd"
    )


def test_a_list_names_its_length_and_each_of_its_entries() -> None:
    node = right({"length": {"low": 1, "high": 3}, "each": {"low": 2, "high": 8}}, LIST)
    assert isinstance(node, ListOf)
    assert node.length.place.name == "here.length"
    assert node.longest() == 3
    entry = node.entry(2)
    assert isinstance(entry, Range)
    assert entry.place == Place(name="here.2", raw=("here", "each"))
    assert entry.whole


@pytest.mark.parametrize(
    ("length", "longest"), [(2, 2), (0, 0), ({"low": 0, "high": 4}, 4), ({"choices": [3, 1]}, 3)]
)
def test_a_list_knows_its_greatest_length(length: Any, longest: int) -> None:
    assert right({"length": length, "each": 8}, LIST).longest() == longest


def test_a_section_is_parsed_field_by_field() -> None:
    node = right({"family": "mlp", "width": {"low": 1, "high": 2}}, field_slot(RunConfig, "model"))
    assert isinstance(node, Section)
    assert [type(child) for child in node.children.values()] == [Fixed, Range]


def test_an_empty_mapping_is_a_section() -> None:
    assert right({}, Slot(model=AdamwConfig)) == Section(place=PLACE, children={})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"low": 1}, "high is missing; a range is {low: …, high: …}"),
        ({"high": 1}, "low is missing; a range is {low: …, high: …}"),
        ({"log": True}, "low is missing"),
        ({"low": "1", "high": 2}, "low '1' is no number"),
        ({"low": 1, "high": True}, "high True is no number"),
        ({"low": float("nan"), "high": 1}, "low is nan; bounds are finite"),
        ({"low": 1, "high": float("inf")}, "high is inf; bounds are finite"),
        ({"low": 1, "high": 10**400}, "high is 1000000000000000000…; bounds are finite"),
        ({"low": 1, "high": 2, "log": "yes"}, "log 'yes' is neither true nor false"),
        ({"low": 3, "high": 2}, "low 3 > high 2; swap them"),
        ({"low": 2, "high": 2}, "low and high are both 2: nothing to search; write 2"),
        ({"low": 0, "high": 2, "log": True}, "log needs low > 0, got 0; raise low, or remove log"),
        ({"low": -1, "high": 2, "log": True}, "log needs low > 0, got -1"),
        ({"low": 1, "high": 2, "step": 0}, "step 0 is no positive number; step: 1"),
        ({"low": 1, "high": 2, "step": True}, "step True is no positive number"),
        ({"low": 1, "high": 2, "step": float("nan")}, "step nan is no positive number"),
        ({"low": 1, "high": 2, "step": 1, "log": True}, "step and log exclude each other"),
        ({"low": 1, "high": 6, "step": 2}, "steps of 2 from 1 do not reach 6; high: 5"),
        ({"low": 0.5, "high": 2}, "0.5 is no whole number, and the field is"),
        ({"low": 0, "high": 1, "step": 0.5}, "0.5 is no whole number, and the field is"),
        ({"low": 1, "high": 1e300}, "1e+300 is too large to search exactly"),
    ],
)
def test_a_wrong_range_is_refused(value: Any, message: str) -> None:
    node, problems = parse(value, Slot(whole=True))
    assert node == Fixed(place=PLACE, value=value)
    assert len(problems) == 1
    assert problems[0].startswith(f"here: {message}")


@pytest.mark.parametrize(
    ("slot", "value", "message"),
    [
        (Slot(), {"low": 1, "high": 2}, "a range needs a number field; use choices"),
        (
            Slot(allowed=(1, 3)),
            {"low": 1, "high": 3},
            "a range needs a number field; use choices among 1, 3",
        ),
        (Slot(), {"choices": []}, "choices must be a list of values; name at least one"),
        (Slot(), {"choices": "ab"}, "choices must be a list of values"),
        (Slot(), {"choices": [[1], [2]]}, "[1] is no plain value; use one_of for sections"),
        (Slot(), {"choices": [1, float("inf")]}, "inf is no number to train with; remove it"),
        (Slot(), {"choices": [1, 2, 1]}, "a choice stands twice; remove one"),
        (Slot(), float("nan"), "nan is no number to train with; use a finite one"),
        (Slot(), {"low": 1, "choices": [1]}, "choices, low cannot stand beside one another"),
        (Slot(), {"low": 1, "width": 3}, "low cannot stand beside width"),
        (LIST, {"length": 2}, "length stands alone; a list needs both length and each"),
        (LIST, {"each": 2}, "each stands alone; a list needs both length and each"),
        (Slot(), {"length": 2, "each": 2}, "length and each need a list field; give one value"),
        (LIST, {"length": "2", "each": 2}, "length must be a whole number ≥ 0; length: 2"),
        (LIST, {"length": True, "each": 2}, "length must be a whole number ≥ 0"),
        (LIST, {"length": {"choices": [1, -1]}, "each": 2}, "length must be a whole number ≥ 0"),
        (LIST, {"length": {"low": -1, "high": 2}, "each": 2}, "length must be a whole number ≥ 0"),
        (LIST, {"length": 10**9, "each": 2}, "length reaches 1,000,000,000; at most 256"),
        (LIST, {"length": {}, "each": 2}, "length must be a number; length: {low: 1, high: 4}"),
        (Slot(), {"low": 1, "high": 2, 5: 3}, "the key 5 is no text; quote it"),
        (OPTIMIZER, {"one_of": {1: {}}}, "the key 1 is no text; quote it"),
        (
            OPTIMIZER,
            {"one_of": {"sgd": {}}, "lr": 1},
            "lr beside one_of would have no effect; move them into the branches",
        ),
        (Slot(), {"one_of": {"a": {}}}, "one_of needs a section with kinds; use choices"),
        (OPTIMIZER, {"one_of": ["sgd"]}, "one_of must map names to settings"),
        (OPTIMIZER, {"one_of": {}}, "one_of must map names to settings; a: {…}, b: {…}"),
        (
            OPTIMIZER,
            {"name": {"choices": ["sgd", "adam"]}},
            "name cannot be searched like a value; use one_of, with one branch for each",
        ),
    ],
)
def test_wrong_grammar_is_refused(slot: Slot, value: Any, message: str) -> None:
    node, problems = parse(value, slot)
    assert isinstance(node, Fixed)
    assert problems[0].startswith(f"here: {message}")


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"sdg": {}}, "here.sdg: no optimizer 'sdg'; did you mean 'sgd'?"),
        ({"sgd": 5}, "here.sgd: needs a mapping of settings; sgd: {}"),
        ({"sgd": {"name": "adam"}}, "here.sgd.name: name is the branch's name already; remove it"),
    ],
)
def test_a_wrong_branch_is_refused_at_its_name(branches: Any, message: str) -> None:
    node, problems = parse({"one_of": {**branches, "adam": {}}}, OPTIMIZER)
    assert problems == [message]
    assert isinstance(node, OneOf)
    assert list(node.branches) == ["adam"]


def test_branches_that_are_all_wrong_leave_a_stand_in() -> None:
    node, problems = parse({"one_of": {"sdg": {}, "adamm": {}}}, OPTIMIZER)
    assert len(problems) == 2
    assert node == Fixed(place=PLACE, value={"name": "sgd"})


def test_a_wrong_entry_of_a_list_is_named_each() -> None:
    _, problems = parse({"length": 2, "each": {"low": 3, "high": 1}}, LIST)
    assert problems == ["here.each: low 3 > high 1; swap them"]


def test_an_unknown_key_is_left_to_the_check_against_the_fields() -> None:
    node, problems = parse({"family": "mlp", "widht": {"low": 1, "high": 2}}, Slot(model=MlpConfig))
    assert problems == []
    assert isinstance(node, Section)
    assert isinstance(node.children["widht"], Fixed)


def test_a_section_of_unknown_kind_is_left_to_the_check_against_the_fields() -> None:
    value = {"name": "sdg", "lr": {"low": 0, "high": 1}}
    assert parse(value, OPTIMIZER) == (Fixed(place=PLACE, value=value), [])
