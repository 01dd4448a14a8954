"""A LightningModule and a LightningDataModule as tutorials write them, unchanged."""

import json
from pathlib import Path

import pytest

from tests.programs import Programs

pytestmark = [pytest.mark.smoke, pytest.mark.slow]

TUTORIAL = '''\
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch.utils.data import DataLoader, TensorDataset, random_split


class LitNet(pl.LightningModule):
    """A classifier."""

    def __init__(self, hidden_size=16, learning_rate=1e-2, activation: str = "relu"):
        super().__init__()
        self.save_hyperparameters()
        self.first = torch.nn.Linear(4, hidden_size)
        self.last = torch.nn.Linear(hidden_size, 3)

    def forward(self, x):
        return self.last(getattr(F, self.hparams.activation)(self.first(x)))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_acc", (self(x).argmax(1) == y).float().mean(), prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


class IrisData(pl.LightningDataModule):
    def __init__(self, batch_size: int = 16):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage=None):
        x, y = load_iris(return_X_y=True)
        rows = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
        split = torch.Generator().manual_seed(0)
        self.train, self.val = random_split(rows, [120, 30], generator=split)

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.hparams.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=30)
'''
STUDY = """\
name: mine
model:
  family: LitNet
  hidden_size: {low: 4, high: 32, log: true}
  learning_rate: {low: 1e-7, high: 1e-2, log: true}
data: {source: IrisData, batch_size: {choices: [16, 32]}}
objective: {metric: val_acc, direction: maximize}
trainer: {max_epochs: 3}
budget: {trials: 4}
search: {sampler: random, pruner: {name: median, n_startup_trials: 1, n_min_trials: 1}, seed: 0}
"""
SCRIPT = """\
import sys
from hpo import Study
from hpo.files import parse_document
from tutorial import IrisData, LitNet

space = parse_document(open("study.yaml").read(), "study.yaml").values
del space["model"]["family"], space["data"]["source"], space["name"]
workers = int(sys.argv[1])
study = Study("script" if workers == 0 else "children", space=space, module=LitNet, data=IrisData)
best = study.run(workers=workers)
print(best.metric["value"], best.config["model"]["family"], best.config["data"]["source"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cli_process) -> Path:
    """A folder in which the study was run by the command line."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "tutorial.py").write_text(TUTORIAL)
    (folder / "study.yaml").write_text(STUDY)
    run = ("run", "study.yaml", "--plugin", "tutorial.py", "--workers", "1")
    said = cli_process(*run, folder=folder)
    assert said.code == 0, said.err
    assert said.out == "results/mine/best_config.json\n"
    return folder


def records(folder: Path, study: str = "mine") -> list[dict]:
    files = sorted((folder / "results" / study).glob("trials/*/result.json"))
    return [json.loads(file.read_text()) for file in files]


def test_its_arguments_are_searched_and_its_metric_prunes(folder: Path) -> None:
    found = records(folder)
    assert [set(record["params"]) for record in found] == [
        {"model.hidden_size", "model.learning_rate", "data.batch_size"}
    ] * 4
    assert {record["state"] for record in found} == {"complete", "pruned"}
    assert found[0]["notes"] == ["default"]
    assert found[0]["params"]["model.hidden_size"] == 16


def test_its_record_says_what_is_not_known_of_it(folder: Path) -> None:
    best = json.loads((folder / "results/mine/best_config.json").read_text())
    assert (best["metric"]["name"], best["metric"]["direction"]) == ("val_acc", "maximize")
    assert best["config"]["model"]["activation"] == "relu"
    assert {"data.sha256", "training.latency_ms"} <= set(best["null_because"])
    assert best["reproduce"]["train"] == "hpo train best_config.json --plugin tutorial.py"
    fingerprint = json.loads((folder / "results/mine/fingerprint.json").read_text())
    assert len(fingerprint["plugins"]["tutorial.py"]) == 64


def test_it_is_retrained_to_the_recorded_value(folder: Path, cli_process) -> None:
    best = "results/mine/best_config.json"
    said = cli_process("train", best, "--plugin", "tutorial.py", "--json", folder=folder)
    assert said.code == 0, said.err
    result = json.loads(said.out)["result"]
    assert result["value"] == result["recorded"]


def test_without_its_plugin_the_record_names_what_is_missing(folder: Path, cli) -> None:
    said = cli("train", folder / "results/mine/best_config.json")
    assert said.code == 2
    assert "no family 'LitNet'" in said.err
    assert "--plugin FILE" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_script_gets_the_same_values_from_the_classes(
    folder: Path, workers: int, programs: Programs
) -> None:
    with programs.start(workers, folder=folder, code=SCRIPT) as script:
        assert script.wait() == 0, script.err
        value, family, source = script.out.split()
    assert (family, source) == ("LitNet", "IrisData")
    by_command = records(folder)
    by_script = records(folder, "children" if workers else "script")
    assert [one["params"] for one in by_script] == [one["params"] for one in by_command]
    assert [one["state"] for one in by_script] == [one["state"] for one in by_command]
    assert [one["run"]["value"] for one in by_script] == [one["run"]["value"] for one in by_command]
    assert float(value) == max(one["run"]["value"] for one in by_script)


def test_changed_code_of_a_plugin_is_said_and_recorded(folder: Path, cli_process) -> None:
    changed = folder / "tutorial.py"
    changed.write_text(TUTORIAL + "# one more line\n")
    run = ("run", "study.yaml", "--plugin", "tutorial.py", "--workers", "1", "--trials", "5")
    said = cli_process(*run, folder=folder)
    changed.write_text(TUTORIAL)
    assert said.code == 0, said.err
    assert "warning: changed since the study began: plugin tutorial.py: its code" in said.err
    fingerprint = json.loads((folder / "results/mine/fingerprint.json").read_text())
    assert [change["what"] for change in fingerprint["changes"]] == [
        ["plugin tutorial.py: its code"]
    ]
