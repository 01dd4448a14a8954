import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hpo.files import parse_document, read_document
from hpo.schema import study_schema
from hpo.search import PRUNERS, SAMPLERS
from hpo.spec import load_study, override_document, shipped_studies
from lightning_modules.data.config import SOURCES
from lightning_modules.families import FAMILIES
from lightning_modules.optim import OPTIMIZERS, SCHEDULES
from lightning_modules.plugins import family
from lightning_modules.task import TASKS

SMALL = {"data": {"source": "iris"}, "model": {"family": "mlp"}}
OVERRIDES = [
    "name=other",
    "budget={trials: 3, time: 10m}",
    "budget.epochs=100",
    "search.sampler=random",
    "search.sampler={name: tpe, n_startup_trials: 3}",
    "search.pruner={name: median}",
    "search.seed=7",
    "trainer.max_epochs=2",
    "trainer.batch_size={choices: [16, 32]}",
    "trainer.early_stopping={patience: 3}",
    "trainer.early_stopping=null",
    "trainer.gradient_clip={low: 0.1, high: 1.0}",
    "trainer.validate_every=0.5",
    "trainer.accumulate={choices: [1, 4]}",
    "trainer.averaging={one_of: {none: {}, swa: {start: {low: 0.5, high: 0.9}}}}",
    "trainer={max_epochs: 3}",
    "objective.metric=f1",
    "optimizer={name: sgd, lr: 0.1}",
    "optimizer={one_of: {adamw: {}, sgd: {lr: {low: 1e-3, high: 1, log: true}}}}",
    "optimizer={one_of: {adamw: null}}",
    "schedule={name: cosine}",
    "model={family: mlp, layers: {length: {low: 1, high: 3}, each: {low: 8, high: 64}}}",
    "model={family: mlp, layers: [64, 32]}",
    "model={one_of: {mlp: {width: {low: 8, high: 64, step: 8}}, cnn: {}}}",
    "data.prepare.scale={choices: [standard, minmax]}",
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(study_schema())


def mistakes(validator: Draft202012Validator, values: Any) -> list[str]:
    return [error.message for error in validator.iter_errors(values)]


def test_the_schema_is_a_schema() -> None:
    schema = study_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_shipped_study_fits_as_it_is_and_resolved(validator, name: str) -> None:
    file = shipped_studies()[name]
    assert mistakes(validator, read_document(file).values) == []
    assert mistakes(validator, parse_document(load_study(file).text(), name).values) == []


@pytest.mark.parametrize("override", OVERRIDES)
@pytest.mark.parametrize("name", ["smoke", "mlp"])
def test_what_the_loader_takes_the_schema_takes(validator, name: str, override: str) -> None:
    document = override_document(read_document(shipped_studies()[name]), override)
    load_study(document.values, name=name)
    assert mistakes(validator, document.values) == []


@pytest.mark.parametrize(
    ("section", "tag", "registry"),
    [
        ("model", "family", FAMILIES),
        ("optimizer", "name", OPTIMIZERS),
        ("schedule", "name", SCHEDULES),
        ("task", "kind", TASKS),
    ],
)
def test_every_registered_name_fits(validator, section: str, tag: str, registry) -> None:
    for name in registry:
        assert mistakes(validator, {**SMALL, section: {tag: name}}) == [], name
        assert mistakes(validator, {**SMALL, section: {"one_of": {name: {}}}}) == [], name


@pytest.mark.parametrize(("key", "registry"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_a_strategy_is_a_name_or_a_mapping(validator, key: str, registry) -> None:
    for name in registry:
        assert mistakes(validator, {**SMALL, "search": {key: name}}) == []
        assert mistakes(validator, {**SMALL, "search": {key: {"name": name}}}) == []
    assert mistakes(validator, {**SMALL, "search": {key: "nothing"}}) != []


@pytest.mark.parametrize(
    "values",
    [
        {**SMALL, "modle": {}},
        {"data": {"source": "iris"}},
        {**SMALL, "model": {"family": "mpl"}},
        {**SMALL, "model": {"family": "mlp", "widht": 3}},
        {**SMALL, "model": {"family": "mlp", "width": "wide"}},
        {**SMALL, "model": {"family": "mlp", "width": {"low": 1}}},
        {**SMALL, "model": {"family": "mlp", "width": {"low": 1, "high": 2, "lgo": True}}},
        {**SMALL, "model": {"family": "mlp", "activation": {"low": 1, "high": 2}}},
        {**SMALL, "model": {"one_of": {"mpl": {}}}},
        {**SMALL, "model": {"one_of": {"mlp": {"widht": 3}}}},
        {**SMALL, "trainer": {"batch_size": {"choices": []}}},
        {**SMALL, "budget": {"trials": 0}},
        {**SMALL, "search": {"seed": -1}},
        {**SMALL, "name": "../up"},
    ],
    ids=lambda values: json.dumps(values)[-40:],
)
def test_what_the_loader_refuses_an_editor_underlines(validator, values: dict[str, Any]) -> None:
    assert mistakes(validator, values) != []


def test_a_plugin_s_family_is_in_the_schema(registries) -> None:
    @family("mine")
    def build(input_shape: tuple[int, ...], n_outputs: int, *, depth: int = 2) -> None: ...

    validator = Draft202012Validator(study_schema())
    good = {"family": "mine", "depth": {"low": 1, "high": 3}}
    assert mistakes(validator, {**SMALL, "model": good}) == []
    assert mistakes(validator, {**SMALL, "model": {**good, "dpeth": 1}}) != []


def test_every_source_is_in_the_schema() -> None:
    text = json.dumps(study_schema())
    assert [name for name in SOURCES if f'"{name}"' not in text] == []


def test_the_schema_of_the_best_config_is_printed_too(cli) -> None:
    said = cli("schema", "best-config")
    assert json.loads(said.out)["title"] == "hpo best_config.json"
    assert json.loads(cli("schema").out) == json.loads(cli("schema", "study").out)
    wrong = cli("schema", "best")
    assert (wrong.code, wrong.out) == (2, "")
    assert "schema: no schema 'best'; known: best-config, study" in wrong.err
