from typing import Any

import pytest
from pydantic import ValidationError

from lightning_modules.optim import OPTIMIZERS, SCHEDULES

ENTRIES = [*OPTIMIZERS.items(), *SCHEDULES.items()]


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_an_entry_is_registered_under_the_name_in_its_config(name: str, entry: Any) -> None:
    assert entry.config().name == name


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_every_field_but_the_name_is_a_shape_or_a_number(name: str, entry: Any) -> None:
    fields = {field: info for field, info in entry.config.model_fields.items() if field != "name"}
    roles = {field: (info.json_schema_extra or {}).get("role") for field, info in fields.items()}
    assert set(roles.values()) <= {"shape", "number"}, roles


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("lr", [0.0, -1.0, float("inf"), float("nan"), "0.1"])
def test_a_learning_rate_is_positive_and_finite(name: str, lr: object) -> None:
    with pytest.raises(ValidationError, match="lr"):
        OPTIMIZERS[name].config.model_validate({"lr": lr})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_decays_weights_by_0_or_more(name: str) -> None:
    with pytest.raises(ValidationError, match="weight_decay"):
        OPTIMIZERS[name].config.model_validate({"weight_decay": -1e-3})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("sgd", "momentum", 1.0),
        ("adam", "beta1", 1.0),
        ("adamw", "beta2", -0.1),
        ("adagrad", "lr_decay", -1.0),
        ("rmsprop", "alpha", 1.0),
    ],
)
def test_an_optimizer_setting_out_of_range_is_refused(name: str, field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        OPTIMIZERS[name].config.model_validate({field: value})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cosine", "warmup", 1.0),
        ("cosine", "final", 1.1),
        ("one_cycle", "warmup", 0.0),
        ("one_cycle", "start", 0.0),
        ("one_cycle", "final", 0.0),
        ("plateau", "factor", 1.0),
        ("plateau", "patience", -1),
    ],
)
def test_a_schedule_setting_out_of_range_is_refused(name: str, field: str, value: float) -> None:
    with pytest.raises(ValidationError, match=field):
        SCHEDULES[name].config.model_validate({field: value})


def test_nesterov_without_momentum_is_refused_for_it_has_no_effect() -> None:
    sgd = OPTIMIZERS["sgd"].config
    with pytest.raises(ValidationError, match="nesterov: has no effect without momentum; remove"):
        sgd.model_validate({"momentum": 0.0, "nesterov": True})
    assert sgd.model_validate({"momentum": 0.0})
    assert sgd.model_validate({"nesterov": True})
