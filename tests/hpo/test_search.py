from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hpo.search import PRUNERS, SAMPLERS, BudgetConfig, SearchConfig, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1h1m1s", 3661), ("0.5h", 1800)],
)
def test_a_duration_is_read_in_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@pytest.mark.parametrize("text", ["", "0s", "10", "m", "1m1h", "-1s", " 1s", "1s\n", "1d", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration; write 90s, 10m or 1h30m"):
        seconds(text)


def test_a_budget_needs_a_limit() -> None:
    with pytest.raises(ValidationError, match="has no limit; set trials, epochs or time"):
        BudgetConfig()


@pytest.mark.parametrize("limits", [{"trials": 1}, {"epochs": 1}, {"time": "1s"}])
def test_one_limit_is_a_budget(limits: dict[str, Any]) -> None:
    budget = BudgetConfig(**limits)
    assert budget.time_s == (1.0 if "time" in limits else None)


@pytest.mark.parametrize(
    "limits", [{"trials": 0}, {"epochs": -1}, {"trials": 1.0}, {"time": 60}, {"time": "x"}]
)
def test_a_wrong_limit_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BudgetConfig(**limits)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_bare_name_stands_for_its_default_settings(sampler: str, pruner: str) -> None:
    short = SearchConfig.model_validate({"sampler": sampler, "pruner": pruner})
    long = SearchConfig.model_validate({"sampler": {"name": sampler}, "pruner": {"name": pruner}})
    assert short == long
    assert short.sampler == SAMPLERS[sampler].config()
    assert short.pruner == PRUNERS[pruner].config()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_search_reads_back_from_its_own_dump(sampler: str, pruner: str) -> None:
    search = SearchConfig.model_validate({"sampler": sampler, "pruner": pruner, "seed": 3})
    assert SearchConfig.model_validate(search.model_dump(mode="json")) == search


def test_the_default_search_is_tpe_with_hyperband() -> None:
    assert SearchConfig() == SearchConfig.model_validate({"sampler": "tpe", "pruner": "hyperband"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sampler": "tpee"}, "no sampler 'tpee'; did you mean 'tpe'?"),
        ({"pruner": {"name": "medain"}}, "no pruner 'medain'; did you mean 'median'?"),
        ({"pruner": {}}, "name is missing; one of: asha, hyperband, median, none, percentile"),
        ({"sampler": 3}, "needs a mapping with the key 'name'"),
        ({"pruner": {"name": "median", "percentile": 3.0}}, "Extra inputs are not permitted"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**32}, "less than 4294967296"),
        ({"retries": -1}, "greater than or equal to 0"),
        (3, "valid dictionary"),
    ],
)
def test_a_wrong_search_is_refused(values: Any, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SearchConfig.model_validate(values)
    assert message in str(caught.value)
