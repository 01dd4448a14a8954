"""Every null of ``best_config.json`` says why it is null, whoever brings module and data."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from hpo.best import BestConfig
from hpo.best_writer import BestWriter
from hpo.folder import create_folder
from hpo.layout import StudyFolder
from hpo.reasons import reasons_of
from hpo.records import TrialRecord
from hpo.search import PRUNERS, SAMPLERS
from hpo.spec import StudySpec
from hpo.study import run_study
from lightning_modules.plugins import load_plugin

MakeSpec = Callable[..., StudySpec]
MakeRecord = Callable[..., TrialRecord]
Json = dict[str, Any]

OWN = """
    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset


    class Rows(pl.LightningDataModule):
        def setup(self, stage=None):
            x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
            self.rows = TensorDataset(x, (x.sum(1) > 0).long())

        def train_dataloader(self):
            return DataLoader(self.rows, batch_size=32)

        def val_dataloader(self):
            return DataLoader(self.rows, batch_size=64)


    class Net(pl.LightningModule):
        def __init__(self, lr: float = 0.1):
            super().__init__()
            self.save_hyperparameters()
            self.net = torch.nn.Linear(4, 3)

        def training_step(self, batch, batch_idx):
            x, y = batch
            return torch.nn.functional.cross_entropy(self.net(x), y)

        def validation_step(self, batch, batch_idx):
            x, y = batch
            self.log("val_acc", (self.net(x).argmax(1) == y).float().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
"""
OWN_DATA: Json = {
    "data": {"source": "Rows"},
    "trainer": {"max_epochs": 1, "accelerator": "cpu"},
}
OWN_MODULE: Json = {
    "model": {"family": "Net", "lr": {"low": 0.01, "high": 1.0}},
    "optimizer": None,
    "objective": {"metric": "val_acc", "direction": "maximize"},
}
STUDIES: Mapping[str, Json] = {
    "classes": {},
    "classes, by a metric that is no share": {"objective": {"metric": "f1"}},
    "a number": {"task": {"kind": "regression"}, "data": {"source": "diabetes"}},
    "own module": OWN_MODULE,
    "own data": OWN_DATA,
    "own module and data": {**OWN_MODULE, **OWN_DATA, "task": None},
}


@pytest.fixture(scope="module")
def bests(
    tmp_path_factory: pytest.TempPathFactory, make_spec: MakeSpec, module_registries: None
) -> dict[str, BestConfig]:
    """The best config of every kind of study, each run once."""
    folder = tmp_path_factory.mktemp("reasons")
    plugin = folder / "own.py"
    plugin.write_text(dedent(OWN))
    load_plugin(str(plugin))
    found = {}
    for number, (kind, sections) in enumerate(STUDIES.items()):
        spec = make_spec("budget.trials=2", **sections, name=f"study{number}")
        best = run_study(spec, folder).best
        assert best is not None
        found[kind] = best
    return found


@pytest.fixture
def writer(tmp_path: Path, make_spec: MakeSpec) -> BestWriter:
    """Return the writer of a tiny study whose folder is made."""
    return writer_of(make_spec(), tmp_path)


def writer_of(spec: StudySpec, path: Path) -> BestWriter:
    folder = StudyFolder(path)
    create_folder(folder, spec, {"data_sha256": "2" * 64, "split_sha256": "3" * 64})
    return BestWriter.of(spec, folder, metric="accuracy", direction="maximize")


@pytest.fixture
def make_trial(make_spec: MakeSpec, make_record: MakeRecord) -> MakeRecord:
    """Return a function to a record whose config is the tiny study's default one."""
    space = make_spec().space
    plain = space.resolve(space.defaults()[0].params).plain()

    def make(number: int, value: float | None, **fields: Any) -> TrialRecord:
        return make_record(number, value, config=plain, **fields)

    return make


def nulls(value: Any, path: str = "") -> set[str]:
    """Return the dotted paths of every null below ``value``."""
    if value is None:
        return {path}
    pairs: Any = enumerate(value) if isinstance(value, list) else ()
    pairs = value.items() if isinstance(value, dict) else pairs
    return {place for key, below in pairs for place in nulls(below, f"{path}.{key}".lstrip("."))}


@pytest.mark.parametrize("kind", STUDIES)
def test_every_null_has_a_reason_and_every_reason_is_of_a_null(
    bests: dict[str, BestConfig], kind: str
) -> None:
    best = bests[kind]
    plain = best.model_dump(mode="json", by_alias=True, exclude={"config", "null_because"})
    assert set(best.null_because) == nulls(plain)
    assert all(best.null_because.values())


@pytest.mark.parametrize(
    ("kind", "path", "reason"),
    [
        ("classes", "metric.seeds", "one seed was trained"),
        ("classes", "test.value", "hpo evaluate STUDY --test opens it"),
        ("classes, by a metric that is no share", "metric.ci95_examples", "f1 is no share of rows"),
        ("classes, by a metric that is no share", "study.rank_note", "f1 is no share of rows"),
        ("a number", "data.classes", "a regression has no classes"),
        ("a number", "metric.baseline.majority_class", "a regression has no classes"),
        ("own module", "training.latency_ms", "the module is your own"),
        ("own module", "training.flops", "the module is your own"),
        ("own data", "data.sha256", "the data module is the user's own"),
        ("own data", "data.classes", "the data module is the user's own"),
        ("own data", "seeds.split", "makes its own split"),
        ("own module and data", "data.task", "bring their own task"),
        ("own module and data", "metric.n_examples", "the data module is the user's own"),
        ("own module and data", "metric.ci95_examples", "the number of validation rows is unknown"),
        ("own module and data", "study.rank_note", "the number of validation rows is unknown"),
        ("own module and data", "metric.baseline.majority_class", "data module is the user's own"),
    ],
)
def test_the_reason_is_that_of_the_study(
    bests: dict[str, BestConfig], kind: str, path: str, reason: str
) -> None:
    assert reason in bests[kind].null_because[path]


def test_a_setting_that_is_null_needs_no_reason(bests: dict[str, BestConfig]) -> None:
    best = bests["classes"]
    assert best.config["trainer"]["gradient_clip"] is None
    assert not [path for path in best.null_because if path.startswith("config")]


def test_a_best_trial_that_no_other_comes_near_says_so(
    writer: BestWriter, make_trial: MakeRecord
) -> None:
    records = [make_trial(0, 0.9), make_trial(1, 0.1)]
    found = writer.describe(records[0], records, time_s=1).null_because
    assert found["study.rank_note"] == (
        "no other complete trial lies within the 95 % interval of the validation split"
    )


def test_a_default_config_without_a_result_says_whether_it_failed(
    writer: BestWriter, make_trial: MakeRecord
) -> None:
    path, best = "metric.baseline.default_config", make_trial(1, 0.5)
    early = writer.describe(best, [best], time_s=1).null_because
    assert early[path] == "trial 0, the default config, has not ended yet"
    failed = make_trial(0, None, notes=["default"], reason="nan")
    late = writer.describe(best, [failed, best], time_s=1).null_because
    assert late[path] == "trial 0, the default config, failed"
    ended = make_trial(0, 0.4, notes=["default"])
    assert path not in writer.describe(best, [ended, best], time_s=1).null_because


def test_what_the_machine_does_not_tell_has_a_reason(
    writer: BestWriter, make_trial: MakeRecord
) -> None:
    record = make_trial(0, 0.5)
    bare = BestWriter(**{**vars(writer), "git": None})
    found = bare.describe(record, [record], time_s=1)
    assert found.null_because["environment.git"] == "no git commit was found where the study ran"
    plain = found.model_dump(mode="json", exclude={"null_because"})
    plain["environment"]["cpu"] = None
    reasons = reasons_of(plain, default_failed=False)
    assert reasons["environment.cpu"] == "the system does not name its processor"


@pytest.mark.parametrize(
    "setting",
    [
        *(f"search.sampler={name}" for name in SAMPLERS),
        *(f"search.pruner={name}" for name in PRUNERS),
    ],
)
def test_every_sampler_and_pruner_can_be_recorded(
    setting: str, tmp_path: Path, make_spec: MakeSpec, make_trial: MakeRecord
) -> None:
    spec = make_spec(setting, optimizer={"name": "adamw", "lr": {"choices": [0.01, 0.1]}})
    writer, record = writer_of(spec, tmp_path), make_trial(0, 0.5)
    study = writer.describe(record, [record], time_s=1).study
    assert setting.rpartition("=")[2] in (study["sampler"]["name"], study["pruner"]["name"])


def test_a_null_without_a_reason_is_a_bug_of_ours(
    writer: BestWriter, make_trial: MakeRecord
) -> None:
    record = make_trial(0, 0.5)
    plain = writer.describe(record, [record], time_s=1).model_dump(mode="json")
    plain["constraints"] = [{"name": "latency_ms", "value": None}]
    plain["seeds"]["trial"] = None
    expected = (
        r"^best_config\.json: no reason why constraints\.0\.value, seeds\.trial is null; "
        r"name one in hpo\.reasons$"
    )
    with pytest.raises(TypeError, match=expected):
        reasons_of(plain, default_failed=False)
