"""The default config of every family beside scikit-learn, on equal splits: no search at all.

python -m benchmarks.families [--families mlp tabm] [--data wine digits] [--fashion-mnist] [--write]
"""

import argparse
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import root_mean_squared_error

from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.arrays import give_arrays
from lightning_modules.families import FAMILIES
from lightning_modules.restore import score
from lightning_modules.train import train

WINDOW, HORIZON, SEASON = 48, 12, 24
FASHION, FASHION_EPOCHS = Path("/usr/share/datasets/fashion-mnist"), 6
FORECASTING = {"kind": "forecasting", "window": WINDOW, "horizon": HORIZON}


@dataclass(frozen=True)
class Task:
    """What is predicted, from which kind of inputs, judged by which metric."""

    settings: dict[str, Any]
    inputs: str
    metric: str = "accuracy"


TABLES = {
    "breast_cancer": Task({"kind": "binary"}, "features"),
    "wine": Task({"kind": "multiclass"}, "features"),
    "digits": Task({"kind": "multiclass"}, "image"),
    "diabetes": Task({"kind": "regression"}, "features", "r2"),
}
STEPS = {
    "sequence_sum": Task({"kind": "binary"}, "sequence"),
    "sentences": Task({"kind": "binary"}, "text"),
    "seasonal": Task(FORECASTING, "sequence", "rmse"),
}
TASKS = TABLES | STEPS
SPLITS = range(5)
BOOSTING, LINEAR = "HistGradientBoosting", "logistic / ridge regression"
NAIVE = "seasonal-naive"
BASELINES = (BOOSTING, LINEAR, NAIVE)
REPORT = Path(__file__).parent.parent / "results" / "reference" / "families.md"
ABOUT = f"""# Default configs

Written by `make reference`. Every family with its default config, default optimizer and default
trainer settings: nothing is searched, nothing is set. Test rows, mean ± standard deviation over 5
splits (`data.split_seed` and `seed` 0–4); accuracy, for diabetes R², for seasonal the RMSE. In
brackets: the median of a training's seconds of CPU time on one thread. scikit-learn's models have
their own defaults (1,000 iterations for the logistic regression), and are fitted on the same
prepared training rows, laid flat; nobody sees the validation rows but the networks, which keep the
weights of their best validation. A family that takes no images is given digits as a table.

sequence_sum, sentences (2,000 rows each) and seasonal (1,500 steps) are made up. Of seasonal,
{HORIZON} steps are predicted from the {WINDOW} before them, in 5 series (`data.data_seed` 0–4); the
seasonal-naive forecast repeats what was {SEASON} steps earlier; noise alone is an RMSE of 0.5.
"""


@dataclass(frozen=True)
class Cell:
    """What one model came to on one set of data, split by split."""

    values: list[float]
    seconds: list[float]

    def text(self) -> str:
        mean, sd = statistics.mean(self.values), statistics.stdev(self.values)
        return f"{mean:.4f} ± {sd:.4f} ({statistics.median(self.seconds):.1f})"


def config_of(source: str, family: str, split: int) -> RunConfig:
    data: dict[str, Any] = {"source": source, "split_seed": split}
    if source == "sequence_sum":
        data |= {"n_rows": 2000}
    if source == "seasonal":
        data = {"source": source, "data_seed": split}
    if source == "digits" and "image" not in FAMILIES[family].takes:
        data |= {"source": "arrays", "name": digits_as_a_table()}
    return RunConfig.model_validate(
        {
            "task": TASKS[source].settings,
            "data": data,
            "model": {"family": family},
            "trainer": {"accelerator": "cpu"},
            "seed": split,
        }
    )


@cache
def digits_as_a_table() -> str:
    given = load_digits()
    give_arrays("digits", given.data, given.target)
    return "digits"


def trained(source: str, family: str, split: int) -> tuple[float, float]:
    return trained_once(config_of(source, family, split), TASKS[source].metric)


def trained_once(config: RunConfig, metric: str) -> tuple[float, float]:
    data = open_data(config, with_test=True)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        train(config, Path(folder), data=data)
        seconds = time.process_time() - started
        values = score(config, Path(folder) / "best.ckpt", split="test", data=data).metrics
    return values[metric], seconds


def fitted(source: str, name: str, split: int) -> tuple[float, float]:
    data: RunData = open_data(config_of(source, "mlp", split), with_test=True)
    if data.prepared is None or data.prepared.test is None or data.facts is None:
        raise TypeError("these data are prepared by us, with test rows")
    rows, test_rows = data.prepared.train, data.prepared.test
    y = test_rows.y.numpy()
    if name == NAIVE:
        begin = WINDOW - SEASON
        naive = test_rows.x[:, begin : begin + HORIZON, 0].numpy()
        return data.facts.target_sd * root_mean_squared_error(y, naive), 0.0
    numbers = TASKS[source].metric != "accuracy"
    if name == BOOSTING:
        kind = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
        model = kind(random_state=split)
    else:
        model = Ridge() if numbers else LogisticRegression(max_iter=1000)
    started = time.process_time()
    model.fit(rows.x.flatten(1).numpy(), rows.y.numpy())
    seconds = time.process_time() - started
    x = test_rows.x.flatten(1).numpy()
    if TASKS[source].metric == "rmse":
        return data.facts.target_sd * root_mean_squared_error(y, model.predict(x)), seconds
    return model.score(x, y), seconds


def serves(source: str, name: str) -> bool:
    """Return whether a model can be tried on these data."""
    task = TASKS[source]
    if name in FAMILIES:
        takes = FAMILIES[name].takes
        return task.inputs in takes or (source == "digits" and "features" in takes)
    if task.metric == "rmse":
        return name != BOOSTING
    return name != NAIVE and task.inputs != "text"


def cell(source: str, name: str) -> Cell | None:
    if not serves(source, name):
        return None
    one = trained if name in FAMILIES else fitted
    values, seconds = zip(*(one(source, name, split) for split in SPLITS), strict=True)
    found = Cell(list(values), list(seconds))
    print(f"{name:30} {source:15} {found.text()}", flush=True)
    return found


Cells = dict[tuple[str, str], "Cell | None"]


def table(cells: Cells, names: list[str], sources: list[str]) -> str:
    lines = ["| model | " + " | ".join(sources) + " |", "|---" * (len(sources) + 1) + "|"]
    for name in names:
        if not any(serves(source, name) for source in sources):
            continue
        texts = [one.text() if (one := cells[source, name]) else "–" for source in sources]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def fashion() -> str:
    """Return what `resnet` comes to on Fashion-MNIST; it takes a quarter of an hour."""
    config = RunConfig.model_validate(
        {
            "task": {"kind": "multiclass"},
            "data": {"source": "idx", "path": str(FASHION)},
            "model": {"family": "resnet"},
            "trainer": {"accelerator": "cpu", "max_epochs": FASHION_EPOCHS},
        }
    )
    value, seconds = trained_once(config, "accuracy")
    return (
        "`resnet` on Fashion-MNIST (Debian's dataset-fashion-mnist), its official test rows, one "
        f"seed, {FASHION_EPOCHS} epochs: {value:.4f} ({seconds:.0f})."
    )


def be_quiet() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=[*BASELINES, *FAMILIES])
    parser.add_argument("--data", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--fashion-mnist", action="store_true", help="beside the tables, longer")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="models at once")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    parts = [[name for name in chosen.data if name in part] for part in (TABLES, STEPS)]
    keys = [(source, name) for part in parts for source in part for name in chosen.families]
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn"), initializer=be_quiet) as pool:
        clothes = pool.submit(fashion) if chosen.fashion_mnist else None
        cells = dict(zip(keys, pool.map(cell, *zip(*keys, strict=True)), strict=True))
    text = "\n".join(table(cells, chosen.families, part) for part in parts if part)
    if clothes is not None:
        text += f"\n{clothes.result()}\n"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, "
    versions += f"scikit-learn {sklearn.__version__}"
    print(text)
    if chosen.write:
        REPORT.write_text(f"{ABOUT}\n{text}\n{versions}.\n", encoding="utf-8")
        print(f"written to {REPORT}")


if __name__ == "__main__":
    main()
