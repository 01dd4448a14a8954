import io
import math
import re
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tensorboard.backend.event_processing import (
    data_provider,
)
from tensorboard.backend.event_processing import (
    plugin_event_multiplexer as event_multiplexer,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
    metadata,
    plugin_data_pb2,
)

from hpo.layout import StudyFolder
from hpo.records import read_trials
from hpo.spec import StudySpec
from hpo.study import StudyOutcome, run_study
from hpo.tracking import tensorboard
from hpo.tracking.tensorboard import write_seed_run

MakeSpec = Callable[..., StudySpec]
CONDITIONAL = {
    "data": {"source": "digits"},
    "model": {
        "one_of": {
            "mlp": {"n_layers": {"low": 1, "high": 2}, "width": {"low": 4, "high": 8}},
            "cnn": {"n_layers": 1, "width": {"choices": [4, 8]}},
        }
    },
    "optimizer": {
        "one_of": {
            "sgd": {"lr": {"choices": [1e30]}},
            "adamw": {"lr": {"low": 1e-3, "high": 1e-1, "log": True}},
        }
    },
    "trainer": {"max_epochs": 1, "batch_size": 512, "accelerator": "cpu"},
    "budget": {"trials": 6},
    "search": {"sampler": "random", "pruner": "none", "seed": 4},
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, make_spec: MakeSpec) -> StudyOutcome:
    """Return a study over a conditional space, with complete and failed trials."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensorboard, "PICTURES_AFTER_S", math.inf)
        found = run_study(make_spec(**CONDITIONAL), tmp_path_factory.mktemp("results"))
    assert {record.state for record in found.end.records} == {"complete", "failed"}
    return found


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def hparams(folder: Path) -> dict[str, Any]:
    """Return what the HParams plugin finds in a folder, by tag."""
    content = read(folder).PluginTagToContent(metadata.PLUGIN_NAME)
    return {
        tag: plugin_data_pb2.HParamsPluginData.FromString(data) for tag, data in content.items()
    }


def parameters_of(folder: Path) -> dict[str, Any]:
    info = hparams(folder)[metadata.SESSION_START_INFO_TAG].session_start_info
    return {name: getattr(v, str(v.WhichOneof("kind"))) for name, v in info.hparams.items()}


def runs(folder: StudyFolder) -> list[Path]:
    return sorted(path for path in folder.tensorboard.iterdir() if path.is_dir())


def test_runs_are_named_so_that_they_sort(outcome: StudyOutcome) -> None:
    names = [path.name for path in runs(outcome.folder)]
    expected = [
        f"t{r.number:04d}-{r.config['model']['family']}-{r.config['optimizer']['name']}"
        for r in outcome.end.records
    ]
    assert names == expected


def test_the_one_config_of_hparams_names_the_whole_conditional_space(outcome: StudyOutcome) -> None:
    experiment = hparams(outcome.folder.tensorboard)[metadata.EXPERIMENT_TAG].experiment
    infos = {info.name: info for info in experiment.hparam_infos}
    assert set(infos) == {
        "model",
        "model.mlp.n_layers",
        "model.mlp.width",
        "model.cnn.width",
        "optimizer",
        "optimizer.sgd.lr",
        "optimizer.adamw.lr",
        "state",
    }
    lr = infos["optimizer.adamw.lr"].domain_interval
    assert (lr.min_value, lr.max_value) == (1e-3, 1e-1)
    assert infos["model"].type == api_pb2.DATA_TYPE_STRING
    assert [v.string_value for v in infos["model"].domain_discrete.values] == ["cnn", "mlp"]
    assert [v.number_value for v in infos["model.cnn.width"].domain_discrete.values] == [4, 8]
    assert [metric.name.tag for metric in experiment.metric_infos] == [
        "objective/accuracy",
        "objective/n_parameters",
        "objective/latency_ms",
    ]
    shown_first = {name for name, info in infos.items() if info.differs}
    assert shown_first == {
        "model",
        "optimizer",
        "model.mlp.n_layers",
        "optimizer.sgd.lr",
        "optimizer.adamw.lr",
    }


def test_a_run_has_the_parameters_of_its_branches_and_no_stand_in_for_the_others(
    outcome: StudyOutcome,
) -> None:
    for record, run in zip(outcome.end.records, runs(outcome.folder), strict=True):
        assert parameters_of(run) == {**record.params, "state": record.state}


def test_a_run_ends_with_its_objective_and_its_costs(outcome: StudyOutcome) -> None:
    for record, folder in zip(outcome.end.records, runs(outcome.folder), strict=True):
        events = read(folder)
        tags = {tag for tag in events.Tags()["scalars"] if tag.startswith("objective/")}
        if record.run is None:
            assert tags == set()
            continue
        costs = ("n_parameters", "latency_ms", "latency_ms_64", "flops")
        assert tags == {"objective/accuracy", *(f"objective/{name}" for name in costs)}
        (value,) = events.Scalars("objective/accuracy")
        assert value.value == pytest.approx(record.value)
        assert value.step == record.run.steps
        assert events.Scalars("objective/n_parameters")[0].value == record.run.n_parameters


def test_a_run_shows_its_curves(outcome: StudyOutcome) -> None:
    for record, folder in zip(outcome.end.records, runs(outcome.folder), strict=True):
        if record.run is not None:
            events = read(folder)
            shown = {"val/accuracy", "train/accuracy", "train/loss", "train/lr", "train/grad_norm"}
            assert shown <= set(events.Tags()["scalars"])
            assert not any(tag.endswith(("_step", "_epoch")) for tag in events.Tags()["scalars"])
            assert len(events.Scalars("val/accuracy")) == record.run.validations


def test_a_trial_that_stays_the_best_has_pictures_and_no_other(outcome: StudyOutcome) -> None:
    assert outcome.end.best is not None
    for record in outcome.end.records:
        (folder,) = outcome.folder.tensorboard.glob(f"t{record.number:04d}-*")
        stays = record.number == outcome.end.best.number
        assert read(folder).Tags()["images"] == (["curve", "confusion"] if stays else [])
    (shown,) = read(runs(outcome.folder)[outcome.end.best.number]).Images("curve")
    with Image.open(io.BytesIO(shown.encoded_image_string)) as picture:
        assert picture.format == "PNG"
        assert picture.width > 600


def test_each_trial_that_was_the_best_for_long_enough_has_pictures(
    tmp_path: Path, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "PICTURES_AFTER_S", 0.0)
    found = run_study(make_spec(**CONDITIONAL), tmp_path)
    best = -1.0
    for record in sorted(found.end.records, key=lambda record: record.number):
        (folder,) = found.folder.tensorboard.glob(f"t{record.number:04d}-*")
        images = read(folder).Tags()["images"]
        became = record.value is not None and record.value > best
        best = max(best, record.value or best)
        if became:
            assert images == ["curve", "confusion"]
        elif record.value is None or record.value < best:
            assert images == []


def test_a_failed_run_is_marked_as_failed(outcome: StudyOutcome) -> None:
    for record, folder in zip(outcome.end.records, runs(outcome.folder), strict=True):
        end = hparams(folder)[metadata.SESSION_END_INFO_TAG].session_end_info
        failed = record.state == "failed"
        assert end.status == (api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS)


def table(folder: StudyFolder) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what HParams itself answers a browser: the experiment, and the rows of its table."""
    loaded = event_multiplexer.EventMultiplexer()
    loaded.AddRunsFromDirectory(str(folder.tensorboard))
    loaded.Reload()
    provider = data_provider.MultiplexerDataProvider(loaded, str(folder.tensorboard))
    backend = backend_context.Context(
        base_plugin.TBContext(data_provider=provider, multiplexer=loaded)
    )
    asked = RequestContext()
    tags = backend.hparams_metadata(asked, "")
    experiment = get_experiment.Handler(asked, backend, "", api_pb2.GetExperimentRequest()).run()
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=[
            api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_FAILURE,
            api_pb2.STATUS_RUNNING,
            api_pb2.STATUS_UNKNOWN,
        ],
        col_params=[api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos],
    )
    answer = list_session_groups.Handler(asked, backend, "", request).run()
    assert tags
    names = {"names": {info.name for info in experiment.hparam_infos}}
    rows = [
        {
            "name": group.name,
            "params": dict(group.hparams),
            "values": {one.name.tag: one.value for one in group.metric_values},
            "sessions": group.sessions,
        }
        for group in answer.session_groups
    ]
    return names, rows


def test_hparams_itself_answers_with_all_parameters_and_nothing_below_zero(
    outcome: StudyOutcome,
) -> None:
    experiment, rows = table(outcome.folder)
    searched = {parameter for record in outcome.end.records for parameter in record.params}
    assert {"model.mlp.width", "model.cnn.width", "optimizer.sgd.lr"} <= searched
    assert searched | {"state"} <= experiment["names"]
    assert len(rows) == len(outcome.end.records)
    for record, row in zip(outcome.end.records, sorted(rows, key=itemgetter("name")), strict=True):
        assert row["name"] == f"t{record.number:04d}"
        assert all(value >= 0 for value in row["values"].values())
        if record.run is not None:
            assert row["values"]["objective/accuracy"] == pytest.approx(record.value)
        assert {session.start_time_secs > 0 for session in row["sessions"]} == {True}


def test_seeds_of_a_trial_stand_in_its_row_with_their_mean(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    outcome = run_study(make_spec("budget.trials=2"), tmp_path)
    record = outcome.end.records[1]
    assert record.run is not None
    for seed, value in ((3, 0.5), (4, 0.25)):
        again = record.run.model_copy(update={"value": value})
        for _ in range(2):  # written again, it is the same run
            place = write_seed_run(outcome.folder, record, metric="accuracy", seed=seed, run=again)
        assert place.name == f"t0001-seed{seed}"
    write_seed_run(outcome.folder, record, metric="accuracy", seed=5, run=None)
    _, rows = table(outcome.folder)
    (row,) = [row for row in rows if row["name"] == "t0001"]
    assert len(row["sessions"]) == 4
    mean = (record.run.value + 0.5 + 0.25) / 3
    assert row["values"]["objective/accuracy"] == pytest.approx(mean)


def test_no_file_names_the_machine(outcome: StudyOutcome) -> None:
    names = [path.name for path in outcome.folder.tensorboard.rglob("events.*")]
    assert names
    assert all(re.fullmatch(r"events\.out\.tfevents\.\d+\.\d+\.[0-9a-f]+", n) for n in names)


def test_a_space_that_was_changed_is_described_anew(tmp_path: Path, make_spec: MakeSpec) -> None:
    run_study(make_spec("budget.trials=1"), tmp_path)
    wider = make_spec("budget.trials=2", "trainer.batch_size={low: 20, high: 60}")
    outcome = run_study(wider, tmp_path, allow_change=True)
    (_,) = outcome.folder.tensorboard.glob("events.*")
    assert "trainer.batch_size" in table(outcome.folder)[0]["names"]


def test_a_study_that_goes_on_writes_no_second_config(tmp_path: Path, make_spec: MakeSpec) -> None:
    for trials in (1, 2):
        run_study(make_spec(f"budget.trials={trials}"), tmp_path)
    folder = StudyFolder(tmp_path / "tiny")
    assert len(list(folder.tensorboard.glob("events*"))) == 1
    assert len(runs(folder)) == len(read_trials(folder)) == 2


def test_choices_of_several_types_are_shown_as_text(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(
        "budget.trials=2",
        trainer={
            "max_epochs": 1,
            "batch_size": 90,
            "accelerator": "cpu",
            "gradient_clip": {"choices": [None, 1.0]},
        },
    )
    outcome = run_study(spec, tmp_path)
    experiment = hparams(outcome.folder.tensorboard)[metadata.EXPERIMENT_TAG].experiment
    (info,) = [one for one in experiment.hparam_infos if one.name == "trainer.gradient_clip"]
    assert [value.string_value for value in info.domain_discrete.values] == ["1.0", "none"]
    for record, run in zip(outcome.end.records, runs(outcome.folder), strict=True):
        clip = record.params["trainer.gradient_clip"]
        assert parameters_of(run)["trainer.gradient_clip"] == ("none" if clip is None else clip)


@pytest.mark.parametrize("lost", ["its end", "all of it", "the description"])
def test_what_a_kill_left_out_is_written_when_the_study_goes_on(
    make_spec: MakeSpec, tmp_path: Path, lost: str
) -> None:
    """A supervisor that dies between the record of trial 1 and its entry leaves the curve alone."""
    folder = run_study(make_spec("budget.trials=2"), tmp_path).folder
    (place,) = folder.tensorboard.glob("t0001-*")
    (file,) = place.glob("events.*")
    (described,) = folder.tensorboard.glob("events.*")
    if lost == "its end":
        content = file.read_bytes()
        file.write_bytes(content[: content.index(b"_hparams_/session_start_info") - 40])
    else:
        (file if lost == "all of it" else described).unlink()
    run_study(make_spec("budget.trials=3"), tmp_path)
    assert metadata.EXPERIMENT_TAG in hparams(folder.tensorboard)
    for number in range(3):
        (place,) = folder.tensorboard.glob(f"t{number:04d}-*")
        assert {metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG} <= hparams(
            place
        ).keys()
        events = [path for path in place.glob("events.*")]
        assert len(events) == (2 if number == 1 and lost == "its end" else 1)
