from typing import Any

import pytest

from hpo.problems import config_problems
from hpo.search import BudgetConfig, SearchConfig
from lightning_modules.config import RunConfig
from lightning_modules.optim import OPTIMIZERS
from lightning_modules.task import TASKS

GOOD: dict[str, Any] = {
    "task": {"kind": "multiclass"},
    "data": {"source": "digits"},
    "model": {"family": "mlp"},
}


def test_a_good_config_has_no_problems() -> None:
    assert config_problems(RunConfig, GOOD) == []


@pytest.mark.parametrize(
    ("section", "found"),
    [
        (
            {"model": {"family": "mlp", "widht": 3}},
            (("model", "widht"), "unknown key", "did you mean 'width'?"),
        ),
        (
            {"data": {"source": "csv", "target": "y"}},
            (("data", "path"), "is missing", "this setting has no default"),
        ),
        (
            {"model": {"family": "mpl"}},
            (
                ("model", "family"),
                "no family 'mpl'",
                "did you mean 'mlp'? (your own code comes with --plugin FILE)",
            ),
        ),
        (
            {"optimizer": {"lr": 1e-3}},
            (
                ("optimizer",),
                "name is missing",
                f"one of: {', '.join(sorted(OPTIMIZERS))}",
            ),
        ),
        (
            {"optimizer": "sgd"},
            (("optimizer",), "needs a mapping with the key 'name'", "write {name: sgd}"),
        ),
        (
            {"task": "number"},
            (
                ("task",),
                "needs a mapping with the key 'kind'",
                f"one of: {', '.join(sorted(TASKS))}",
            ),
        ),
        (
            {"task": {"kind": "multiclass", "loss": {"name": "mse"}}},
            (
                ("task", "loss", "name"),
                "no classification loss 'mse'",
                "known: cross_entropy, focal",
            ),
        ),
        (
            {"trainer": {"max_epochs": 0}},
            (
                ("trainer", "max_epochs"),
                "0 does not fit",
                "it should be greater than or equal to 1",
            ),
        ),
        (
            {"trainer": {"max_epochs": "3"}},
            (("trainer", "max_epochs"), "'3' does not fit", "it should be a valid integer"),
        ),
        (
            {"objective": {"metric": "acuracy"}},
            (
                ("objective", "metric"),
                "multiclass has no metric 'acuracy'",
                "did you mean 'accuracy'?",
            ),
        ),
        (
            {"model": {"family": "mlp", "layers": [3], "width": 4}},
            (
                ("model", "layers"),
                "gives every size already",
                "remove width, or layers",
            ),
        ),
        (
            {"trainer": {"validate_every": 1.5}},
            (
                ("trainer", "validate_every"),
                "1.5 is no number of epochs",
                "write 1, 2, … or a fraction between 0 and 1",
            ),
        ),
    ],
)
def test_a_mistake_is_said_as_path_what_and_what_would_be_right(
    section: dict[str, Any], found: tuple[tuple[str, ...], str, str]
) -> None:
    assert found in config_problems(RunConfig, {**GOOD, **section})


def test_all_mistakes_are_found_at_once() -> None:
    values = {**GOOD, "model": {"family": "mlp", "width": 0, "n_layers": -1}, "trainer": {"x": 1}}
    paths = [path for path, _, _ in config_problems(RunConfig, values)]
    assert paths == [("model", "n_layers"), ("model", "width"), ("trainer", "x")]


def test_a_long_value_is_shortened() -> None:
    found = config_problems(SearchConfig, {"seed": "x" * 1000})
    assert len(found[0][1]) < 90
    assert "…" in found[0][1]


def test_a_budget_without_limit_is_said_at_the_budget() -> None:
    assert config_problems(BudgetConfig, {}) == [((), "has no limit", "set trials, epochs or time")]


def test_a_value_error_keeps_its_own_words() -> None:
    assert config_problems(BudgetConfig, {"time": "soon"}) == [
        (("time",), "'soon' is no duration", "write 90s, 10m or 1h30m")
    ]


def test_a_number_for_a_duration_is_told_its_unit() -> None:
    assert config_problems(BudgetConfig, {"time": 600}) == [
        (("time",), "600 is no duration", "write 600s or 10m")
    ]
    assert config_problems(SearchConfig, {"trial_timeout": 90.5}) == [
        (("trial_timeout",), "90.5 is no duration", "write 90.5s")
    ]


def test_an_unknown_bare_name_is_said_where_it_stands() -> None:
    text = "no pruner 'medain'"
    [(bare, what, _)] = config_problems(SearchConfig, {"pruner": "medain"})
    assert (bare, what) == (("pruner",), text)
    [(tagged, what, _)] = config_problems(SearchConfig, {"pruner": {"name": "medain"}})
    assert (tagged, what) == (("pruner", "name"), text)
