from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from lightning_modules.task import (
    CLASS_LOSSES,
    KINDS,
    LABEL_LOSSES,
    METRICS,
    NUMBER_LOSSES,
    TASKS,
    BinaryConfig,
    CrossEntropyConfig,
    HuberConfig,
    RegressionConfig,
)


def test_every_kind_is_registered_under_the_name_in_its_config() -> None:
    assert tuple(TASKS) == KINDS
    assert [entry.config().model_dump()["kind"] for entry in TASKS.values()] == list(KINDS)


@pytest.mark.parametrize("losses", [CLASS_LOSSES, LABEL_LOSSES, NUMBER_LOSSES])
def test_every_loss_is_registered_under_the_name_in_its_config(losses: Any) -> None:
    assert [entry.config().name for entry in losses.values()] == list(losses)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_metric_of_a_kind_fits_it(kind: str) -> None:
    assert kind in METRICS[TASKS[kind].default_metric].kinds
    assert METRICS[TASKS[kind].default_metric].each_validation


@pytest.mark.parametrize("loss", NUMBER_LOSSES)
def test_a_regression_takes_each_of_its_losses(loss: str) -> None:
    task = RegressionConfig.model_validate({"loss": {"name": loss}})
    assert task.loss == NUMBER_LOSSES[loss].config()


def test_a_classification_refuses_the_loss_of_a_regression() -> None:
    with pytest.raises(ValidationError, match="no classification loss 'mse'"):
        BinaryConfig.model_validate({"loss": {"name": "mse"}})


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_is_a_share_below_1(smoothing: float) -> None:
    with pytest.raises(ValidationError, match="label_smoothing"):
        CrossEntropyConfig(label_smoothing=smoothing)


def test_the_bend_of_the_huber_loss_is_positive() -> None:
    with pytest.raises(ValidationError, match="delta"):
        HuberConfig(delta=0.0)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_are_balanced_once(kind: str) -> None:
    adapter = TypeAdapter(TASKS[kind].config)
    assert adapter.validate_python({"sampling": "balanced"}).model_dump()["sampling"] == "balanced"
    assert "sampling" not in adapter.validate_python({}).model_dump()
    with pytest.raises(ValidationError, match="sampling: class_weights balance the classes alrea"):
        adapter.validate_python({"sampling": "balanced", "class_weights": "balanced"})


@pytest.mark.parametrize("kind", ["multilabel", "regression", "forecasting"])
def test_only_classes_are_sampled(kind: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        TypeAdapter(TASKS[kind].config).validate_python({"sampling": "balanced"})


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_class_weights_are_a_closed_choice(kind: str) -> None:
    with pytest.raises(ValidationError, match="'none' or 'balanced'"):
        TypeAdapter(TASKS[kind].config).validate_python({"class_weights": "auto"})
