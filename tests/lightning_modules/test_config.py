import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from lightning_modules.config import DEFAULT_BATCH_SIZE, RunConfig, TrainerConfig
from lightning_modules.data.config import SOURCES, IrisConfig, Source
from lightning_modules.families import FAMILIES, Family
from lightning_modules.families.mlp import MlpConfig
from lightning_modules.optim import AVERAGES, OPTIMIZERS, SCHEDULES, SgdConfig
from lightning_modules.settings import Settings
from lightning_modules.task import METRICS, TASKS, MulticlassConfig

PLAIN: dict[str, Any] = {
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp"},
}


def config(**sections: Any) -> RunConfig:
    return RunConfig.model_validate(PLAIN | sections)


class OwnModel(Settings):
    family: Literal["Own"] = "Own"


class OwnData(Settings):
    source: Literal["OwnData"] = "OwnData"


@pytest.fixture
def own(registries: None) -> dict[str, Any]:
    """Sections of a run in which everything is the user's own."""
    FAMILIES.register("Own")(Family(config=OwnModel, builder=lambda _: None, whole=True))
    SOURCES.register("OwnData")(Source(config=OwnData, datamodule=lambda _: None))
    return {
        "model": {"family": "Own"},
        "data": {"source": "OwnData"},
        "objective": {"metric": "val_acc", "direction": "maximize"},
    }


def test_a_config_writes_out_every_default() -> None:
    plain = config().plain()
    assert plain["optimizer"] == OPTIMIZERS["adamw"].config().model_dump()
    assert plain["schedule"] == {"name": "constant"}
    assert plain["trainer"]["batch_size"] == DEFAULT_BATCH_SIZE
    assert plain["objective"] == {"metric": "accuracy", "direction": "maximize"}
    assert plain["seed"] == 0


EACH = [
    *({"task": {"kind": kind}, "model": {"family": name}} for kind in TASKS for name in FAMILIES),
    *({"optimizer": {"name": name}} for name in OPTIMIZERS),
    *({"schedule": {"name": name}} for name in SCHEDULES),
    *({"trainer": {"averaging": {"name": name}, "accumulate": 3}} for name in AVERAGES),
]


@pytest.mark.parametrize("sections", EACH, ids=str)
def test_a_config_comes_back_from_its_plain_values(sections: dict[str, Any]) -> None:
    one = config(**sections)
    assert RunConfig.model_validate(one.plain()) == one
    assert RunConfig.model_validate_json(one.model_dump_json()) == one
    assert RunConfig.model_validate(one.plain()).sha256() == one.sha256()


def test_a_config_of_a_users_own_module_and_data_comes_back(own: dict[str, Any]) -> None:
    one = RunConfig.model_validate(own)
    assert RunConfig.model_validate(one.plain()) == one
    assert (one.optimizer, one.schedule, one.trainer.batch_size, one.kind) == (None,) * 4


def test_sections_may_be_settings_instead_of_mappings() -> None:
    built = RunConfig(  # type: ignore[call-arg]
        task=MulticlassConfig(),
        data=IrisConfig(),
        model=MlpConfig(),
        optimizer=SgdConfig(lr=0.5),
        trainer=TrainerConfig(max_epochs=3),
    )
    assert built == config(optimizer={"name": "sgd", "lr": 0.5}, trainer={"max_epochs": 3})


def test_settings_in_the_wrong_section_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"family is missing; one of: cnn, .*mlp"):
        config(model=SgdConfig())


def test_equal_configs_have_equal_hashes_whatever_the_order_of_keys() -> None:
    other = RunConfig.model_validate(dict(reversed(PLAIN.items())))
    assert other.sha256() == config().sha256()


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"model": {"family": "mlp", "dropout": 0.2}}, {"trainer": {"max_epochs": 19}}],
)
def test_another_config_has_another_hash(change: dict[str, Any]) -> None:
    assert config(**change).sha256() != config().sha256()


def test_the_hash_is_the_same_in_another_process() -> None:
    code = f"from lightning_modules.config import RunConfig as R; print(R(**{PLAIN!r}).sha256())"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == config().sha256()


def test_a_config_is_read_without_torch() -> None:
    code = "import sys, lightning_modules.config; print('torch' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "False"


def test_a_config_names_what_it_is_made_of() -> None:
    one = config()
    assert (one.family, one.source, one.kind, one.whole) == ("mlp", "iris", "multiclass", False)


def test_our_metrics_are_monitored_on_the_validation_split() -> None:
    assert config().monitor == "val/accuracy"


def test_the_metric_of_a_whole_module_is_monitored_as_it_is_named(own: dict[str, Any]) -> None:
    assert RunConfig.model_validate(own).monitor == "val_acc"


@pytest.mark.parametrize("kind", TASKS)
def test_a_task_is_judged_by_its_default_metric_in_its_direction(kind: str) -> None:
    objective = config(task={"kind": kind}).objective
    assert objective.metric == TASKS[kind].default_metric
    assert objective.direction == METRICS[objective.metric].direction


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_fits_the_kinds_that_it_names_and_no_others(metric: str) -> None:
    for kind in TASKS:
        if kind in METRICS[metric].kinds:
            task: dict[str, Any] = {"kind": kind}
            if METRICS[metric].takes:
                task["loss"] = {"name": METRICS[metric].takes[0]}
            one = config(task=task, objective={"metric": metric})
            assert one.objective.direction == METRICS[metric].direction
        else:
            with pytest.raises(ValidationError, match=f"{kind} has no metric '{metric}'"):
                config(task={"kind": kind}, objective={"metric": metric})


def test_the_pinball_loss_is_a_metric_of_a_quantile_alone() -> None:
    text = "objective.metric: pinball takes the quantile of the loss, and this one has none; "
    with pytest.raises(ValidationError, match=text + "task.loss: {name: quantile}"):
        config(task={"kind": "regression"}, objective={"metric": "pinball"})


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("binary", {"target": ["a", "b"]}, "data.target: binary predicts one column; name it with"),
        ("multilabel", {"target": "a"}, "data.target: multilabel predicts several columns; .one, "),
        (
            "multilabel",
            {"target": ["a", "b"], "split": "stratified"},
            "data.split: a row has no single class to stratify by; remove this setting",
        ),
        (
            "multilabel",
            {"target": ["a", "b"], "prepare": {"target": "log"}},
            "data.prepare.target: labels are not scaled; remove this setting",
        ),
        ("regression", {"target": ["a", "a"]}, "is a list for several columns; name each once"),
        ("regression", {"target": ["a"]}, "is a list for several columns; name each once, or one"),
        ("regression", {"target": 5}, "5 names no column; the column to predict, or "),
    ],
)
def test_targets_that_do_not_fit_the_task_are_refused(
    kind: str, data: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValidationError, match=text):
        config(task={"kind": kind}, data={"source": "csv", "path": "t.csv", **data})


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"split": "random"}, "data.split: a series is cut by time alone; remove this setting"),
        ({"split_seed": 1}, "data.split_seed: a series is cut by time alone"),
        ({"folds": 3}, "data.folds: a series is cut by time alone"),
        ({"duplicates": "drop"}, "data.duplicates: a series is cut by time alone"),
        ({"text": "b"}, "data.text: forecasting predicts from numbers; remove this setting"),
        ({"target": ["a", "b"]}, "data.target: forecasting predicts one column"),
    ],
)
def test_what_has_no_effect_on_a_series_is_refused(data: dict[str, Any], text: str) -> None:
    table = {"source": "csv", "path": "t.csv", "target": "a", "time": "t"}
    assert config(task={"kind": "forecasting"}, data=table).objective.metric == "rmse"
    if "split" in data or "split_seed" in data or "folds" in data:
        del table["time"]
    with pytest.raises(ValidationError, match=text):
        config(task={"kind": "forecasting"}, data=table | data)


def test_a_column_of_moments_orders_only_a_series_without_a_split_by_it() -> None:
    data = {"source": "csv", "path": "t.csv", "target": "a", "time": "t"}
    with pytest.raises(ValidationError, match=r"data\.time: has no effect without split: time"):
        config(task={"kind": "regression"}, data=data)
    assert config(task={"kind": "regression"}, data=data | {"split": "time"}).kind == "regression"


def test_a_users_own_module_may_forecast_any_number_of_steps(own: dict[str, Any]) -> None:
    series: dict[str, Any] = {"data": {"source": "seasonal"}, "model": own["model"]}
    task = {"kind": "forecasting", "window": 5, "horizon": 2}
    judged = {"objective": own["objective"]}
    assert RunConfig.model_validate({"task": task, **series, **judged}).whole
    with pytest.raises(ValidationError, match=r"task: Own is a whole .* keep only task.kind"):
        RunConfig.model_validate({"task": task | {"loss": {"name": "mae"}}, **series, **judged})


def test_a_misspelled_metric_gets_the_nearest_one() -> None:
    text = r"objective.metric: multiclass has no metric 'acuracy'; did you mean 'accuracy'\?"
    with pytest.raises(ValidationError, match=text):
        config(objective={"metric": "acuracy"})


def test_a_metric_in_the_wrong_direction_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"objective.direction: f1 is to maximize; remove"):
        config(objective={"metric": "f1", "direction": "minimize"})


def test_a_missing_task_is_all_that_is_said_to_be_missing() -> None:
    with pytest.raises(ValidationError) as caught:
        config(task=None)
    assert [error["msg"] for error in caught.value.errors()] == [
        f"task: missing; one of: {', '.join(TASKS)}"
    ]


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"model": {"family": "mpl"}}, "no family 'mpl'; did you mean 'mlp'?"),
        ({"data": {"source": "irsi"}}, "no data source 'irsi'; did you mean 'iris'?"),
        ({"task": {"kind": "multiclas"}}, "no task kind 'multiclas'; did you mean 'multiclass'?"),
        ({"optimizer": {"name": "adm"}}, "no optimizer 'adm'; did you mean 'adam'?"),
        ({"schedule": {"name": "cosin"}}, "no schedule 'cosin'; did you mean 'cosine'?"),
        ({"model": {"family": ["mlp"]}}, f"family is missing; one of: {min(FAMILIES)}, "),
        ({"task": {"kind": {}}}, f"kind is missing; one of: {', '.join(sorted(TASKS))}"),
        ({"objective": {"metric": ["f1"]}}, "Input should be a valid string"),
    ],
)
def test_one_wrong_name_is_one_error(section: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**section)
    [error] = caught.value.errors()
    assert error["msg"].startswith(text)


def test_a_config_is_a_mapping() -> None:
    with pytest.raises(ValidationError, match="valid dictionary or instance of RunConfig"):
        RunConfig.model_validate("mlp")


@pytest.mark.parametrize("every", [1, 2, 0.5, 0.01])
def test_validations_come_every_few_epochs_or_within_one(every: float) -> None:
    assert TrainerConfig(max_epochs=2, validate_every=every).validate_every == every


@pytest.mark.parametrize("every", [0.0, 1.0, 1.5, -0.5])
def test_a_fraction_of_an_epoch_lies_between_0_and_1(every: float) -> None:
    with pytest.raises(ValidationError, match="or a fraction between 0 and 1"):
        TrainerConfig(validate_every=every)


@pytest.mark.parametrize("every", [0, -1, 3])
def test_a_run_validates_at_least_once(every: int) -> None:
    with pytest.raises(ValidationError, match="max_epochs, or nothing is ever measured"):
        TrainerConfig(max_epochs=2, validate_every=every)


@pytest.mark.parametrize(
    "trainer",
    [
        {"max_epochs": 0},
        {"batch_size": 0},
        {"gradient_clip": 0.0},
        {"threads": 0},
        {"processes": 0},
        {"early_stopping": {"patience": 0}},
        {"early_stopping": {"min_delta": -0.1}},
        {"precision": "16"},
        {"accelerator": "tpu"},
    ],
)
def test_a_trainer_setting_out_of_range_is_refused(trainer: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainerConfig.model_validate(trainer)


def test_a_batch_has_a_row_for_every_process() -> None:
    assert TrainerConfig(batch_size=3, processes=3).processes == 3
    text = "batch_size: 2 rows are too few for 3 processes; raise it, or lower processes"
    with pytest.raises(ValidationError, match=text):
        TrainerConfig(batch_size=2, processes=3)


def test_mps_trains_in_one_process() -> None:
    text = "processes: mps trains in one process; remove this setting"
    with pytest.raises(ValidationError, match=text):
        TrainerConfig(accelerator="mps", processes=2)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_is_a_whole_number_below_2_to_the_32(seed: float) -> None:
    with pytest.raises(ValidationError, match="seed"):
        config(seed=seed)


@pytest.mark.parametrize("section", ["optimizer", "schedule"])
def test_a_whole_module_takes_no_optimizer_or_schedule(own: dict[str, Any], section: str) -> None:
    text = f"{section}: Own is a whole LightningModule with its own configure_optimizers; remove"
    name = {"optimizer": "adamw", "schedule": "constant"}[section]
    with pytest.raises(ValidationError, match=text):
        RunConfig.model_validate(own | {section: {"name": name}})


def test_a_whole_module_takes_no_mixed_targets(own: dict[str, Any]) -> None:
    sections = own | {"task": {"kind": "multiclass"}, "trainer": {"batch_size": 8}}
    flipped = {"source": "digits", "augment": {"flip": "horizontal"}}
    assert RunConfig.model_validate(sections | {"data": flipped})
    mixed = {"source": "digits", "augment": {"mixup": 0.2}}
    text = "data.augment.mixup: Own, a whole LightningModule, may not know mixed targets; remove it"
    with pytest.raises(ValidationError, match=text):
        RunConfig.model_validate(sections | {"data": mixed})


def test_the_focal_loss_takes_no_mixed_targets() -> None:
    task = {"kind": "multiclass", "loss": {"name": "focal"}}
    with pytest.raises(ValidationError, match="mixup: focal loss takes no mixed targets; remove"):
        config(task=task, data={"source": "iris", "augment": {"mixup": 0.2}})


def test_augmentation_that_is_off_is_not_in_the_record() -> None:
    off = {"source": "iris", "augment": {"mixup": 0.0, "jitter": {"hue": 0.0}}}
    assert config(data=off).sha256() == config(data={"source": "iris"}).sha256()
    assert "augment" not in config(data=off).plain()["data"]


def test_a_data_module_takes_no_batch_size(own: dict[str, Any]) -> None:
    text = "trainer.batch_size: the data module makes its own batches; remove this setting"
    with pytest.raises(ValidationError, match=text):
        RunConfig.model_validate(own | {"trainer": {"batch_size": 8}})


def test_a_whole_module_with_its_own_data_takes_no_task(own: dict[str, Any]) -> None:
    text = "task: the module and its data module bring their own; remove this section"
    with pytest.raises(ValidationError, match=text):
        RunConfig.model_validate(own | {"task": {"kind": "binary"}})


def test_a_whole_module_on_our_data_needs_the_kind_of_task(own: dict[str, Any]) -> None:
    iris = {"data": {"source": "iris"}}
    with pytest.raises(ValidationError, match="task: missing; one of: binary, multiclass"):
        RunConfig.model_validate(own | iris)
    assert RunConfig.model_validate(own | iris | {"task": {"kind": "multiclass"}}).whole


def test_a_whole_module_takes_no_loss_of_ours(own: dict[str, Any]) -> None:
    task = {"kind": "multiclass", "class_weights": "balanced"}
    text = "task: Own is a whole LightningModule with its own loss; keep only task.kind"
    with pytest.raises(ValidationError, match=text):
        RunConfig.model_validate(own | {"data": {"source": "iris"}, "task": task})


@pytest.mark.parametrize("missing", ["metric", "direction"])
def test_a_whole_module_says_what_it_logs_and_in_which_direction(
    own: dict[str, Any], missing: str
) -> None:
    objective = {key: value for key, value in own["objective"].items() if key != missing}
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate(own | {"objective": objective})
    assert [error["loc"] for error in caught.value.errors()] == [("objective", missing)]


def test_all_conflicts_are_named_at_once(own: dict[str, Any]) -> None:
    wrong = own | {
        "optimizer": {"name": "sgd"},
        "trainer": {"batch_size": 8},
        "task": {"kind": "binary"},
    }
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate(wrong)
    lines = caught.value.errors()[0]["msg"].splitlines()
    assert [line.partition(":")[0] for line in lines] == ["optimizer", "trainer.batch_size", "task"]


def test_a_family_of_ours_on_a_users_data_module_keeps_its_optimizer(own: dict[str, Any]) -> None:
    one = RunConfig.model_validate(PLAIN | {"data": own["data"]})
    assert one.optimizer is not None
    assert one.trainer.batch_size is None


def test_the_json_schema_can_be_written() -> None:
    make: Callable[[], dict[str, Any]] = RunConfig.model_json_schema
    assert set(make()["properties"]) == set(RunConfig.model_fields)


def csv_config(path: str) -> RunConfig:
    data = {"source": "csv", "path": path, "target": "y"}
    return RunConfig.model_validate(
        {"task": {"kind": "binary"}, "data": data, "model": {"family": "mlp"}}
    )


def test_a_record_has_a_data_path_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "data" / "x.csv"), "data/x.csv", "./data/../data/x.csv"):
        config = csv_config(path)
        assert config.portable()["data"]["path"] == "data/x.csv"
        assert config.plain()["data"]["path"] == path


def test_a_record_keeps_the_last_name_of_a_data_path_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    portable = csv_config(str(tmp_path / "secret" / "x.csv")).portable()
    assert portable["data"]["path"] == "x.csv"
    assert str(tmp_path) not in json.dumps(portable)


def test_a_config_without_a_data_path_is_portable_as_it_is() -> None:
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "iris"},
            "model": {"family": "mlp"},
        }
    )
    assert config.portable() == config.plain()


@pytest.mark.parametrize(("kind", "source"), [("multiclass", "iris"), ("binary", "breast_cancer")])
def test_scaling_of_a_target_that_is_a_class_is_refused(kind: str, source: str) -> None:
    data = {"source": source, "prepare": {"target": "none"}}
    with pytest.raises(ValidationError, match=r"data\.prepare\.target: classes are not scaled"):
        config(task={"kind": kind}, data=data)
    assert config(task={"kind": "regression"}, data={**data, "source": "diabetes"})


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        (
            {"schedule": {"name": "cosine"}},
            "schedule: schedule_free_sgd averages its steps instead; remove this section",
        ),
        (
            {"trainer": {"averaging": {"name": "ema"}}},
            "trainer.averaging: schedule_free_sgd averages its steps instead; remove this setting",
        ),
    ],
)
def test_an_optimizer_that_averages_takes_nothing_else_that_does(
    sections: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValidationError, match=text):
        config(optimizer={"name": "schedule_free_sgd"}, **sections)
    assert config(**sections)
    assert config(optimizer={"name": "schedule_free_sgd"}, schedule={"name": "constant"})
