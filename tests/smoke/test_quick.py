"""From a study file to predictions, every command a process of its own, in an awkward folder."""

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.programs import Said

pytestmark = [pytest.mark.smoke, pytest.mark.slow]

CLASSES = ("low", "high")
SEARCH = """\
task: {kind: KIND}
model: {family: mlp, n_layers: 1, width: {low: 8, high: 64, log: true}}
optimizer: {name: adamw, lr: {low: 1e-7, high: 1e-2, log: true}}
trainer: {max_epochs: 3, batch_size: 32}
budget: {trials: 3}
search: {sampler: random, pruner: {name: median, n_startup_trials: 1, n_min_trials: 1}, seed: 0}
"""
DIGITS = "data: {source: digits}\n" + SEARCH.replace("KIND", "multiclass")
TABLE = "data: {source: csv, path: my table.csv, target: 'the kind'}\n" + SEARCH.replace(
    "KIND", "binary"
)


@dataclass(frozen=True)
class Study:
    name: str
    folder: Path
    """Where the commands are typed."""
    rows: list[list[str]]
    """What there is to predict, less its header."""

    @property
    def best(self) -> Path:
        return self.folder / "results" / self.name / "best_config.json"


def interpreted(*arguments: str, folder: Path) -> Said:
    """Run ``hpo`` in an interpreter of its own, from nothing, as a shell does."""
    program = "from hpo.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore::FutureWarning", "-c", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def write_table(path: Path) -> list[list[str]]:
    """Write numbers with gaps, a category, and classes that follow from them."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(240):
        size = random.normal()
        shown = "" if random.random() < 0.05 else f"{size:.4f}"
        colour = "red" if random.random() < 0.5 else "blue"
        rows.append([shown, f"{random.normal():.4f}", colour, CLASSES[int(size > 0)]])
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["size", "noise", "colour, of it", "the kind"], *rows])
    return rows


@pytest.fixture(scope="module", params=["digits", "table"])
def study(request, tmp_path_factory, cli_process) -> Study:
    folder = tmp_path_factory.mktemp("smoke") / "a 'b' c"
    folder.mkdir()
    name = request.param
    rows: list[list[str]] = []
    if name == "digits":
        (folder / "digits.yaml").write_text(DIGITS)
        pixels = load_digits().images.astype("float32")[:, None]
        np.save(folder / "in put.npy", pixels)
        rows = [["x"]] * len(pixels)
    else:
        (folder / "table.yaml").write_text(TABLE)
        rows = write_table(folder / "my table.csv")
    typed = cli_process if name == "digits" else interpreted
    said = typed("run", f"{name}.yaml", "--workers", "1", folder=folder)
    assert said.code == 0, said.err
    assert said.out == f"results/{name}/best_config.json\n"
    assert not set("\r\x1b") & set(said.out + said.err)
    return Study(name, folder, rows)


def test_three_trials_are_recorded_and_one_was_really_pruned(study: Study) -> None:
    files = sorted(study.best.parent.glob("trials/*/result.json"))
    records = [json.loads(file.read_text()) for file in files]
    assert [record["number"] for record in records] == [0, 1, 2]
    pruned = [record for record in records if record["state"] == "pruned"]
    assert pruned
    for record in pruned:
        assert record["run"]["stopped_by"] == "pruner"
        assert record["run"]["epochs_run"] < 3
        curve = files[record["number"]].with_name("curve.csv").read_text().splitlines()
        assert len(curve) == 1 + record["run"]["validations"]


def test_the_best_config_is_the_best_trial_s(study: Study) -> None:
    best = json.loads(study.best.read_text())
    trial = json.loads(
        (study.best.parent / "trials" / f"{best['study']['trial']:04d}" / "result.json").read_text()
    )
    assert best["schema"] == "hpo.best_config/1"
    assert best["config"] == trial["config"]
    assert best["metric"]["value"] == trial["run"]["value"]
    assert best["test"] == {"opened": 0, "value": None}
    assert str(study.folder) not in study.best.read_text()


def test_train_gives_the_recorded_value_to_the_bit(study: Study, cli_process) -> None:
    path = study.best.relative_to(study.folder)
    said = cli_process("train", path, "-o", "re trained", "--json", folder=study.folder)
    assert said.code == 0, said.err
    result = json.loads(said.out)["result"]
    best = json.loads(study.best.read_text())
    assert result["value"] == result["recorded"] == best["metric"]["value"]
    assert result["checkpoint"]["sha256"] == best["checkpoint"]["sha256"]


def test_predict_answers_every_row_and_is_mostly_right(study: Study, cli_process) -> None:
    source = "in put.npy" if study.name == "digits" else "my table.csv"
    said = cli_process("predict", study.best.relative_to(study.folder), source, folder=study.folder)
    assert said.code == 0, said.err
    header, *predicted = said.out.splitlines()
    assert header == "prediction"
    assert len(predicted) == len(study.rows)
    truth = (
        [str(label) for label in load_digits().target]
        if study.name == "digits"
        else [row[-1] for row in study.rows]
    )
    right = sum(a == b for a, b in zip(predicted, truth, strict=True))
    assert right > len(truth) / 2
