"""The default config of every family beside scikit-learn, on equal splits: no search at all.

python -m benchmarks.families [--families mlp tabm] [--data wine digits] [--write]
"""

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import sklearn
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.families import FAMILIES
from lightning_modules.restore import score
from lightning_modules.train import train

TASKS = {
    "breast_cancer": "binary",
    "wine": "multiclass",
    "digits": "multiclass",
    "diabetes": "regression",
}
IMAGES = ("digits",)
SPLITS = range(5)
BOOSTING, LINEAR = "HistGradientBoosting", "logistic / ridge regression"
REPORT = Path(__file__).parent.parent / "results" / "reference" / "families.md"
ABOUT = """# Default configs

Written by `make reference`. Every family with its default config, default optimizer and default
trainer settings: nothing is searched, nothing is set. Test rows, mean ± standard deviation over 5
splits (`data.split_seed` and `seed` 0–4); accuracy, for diabetes R². In brackets: the median of a
training's seconds of CPU time on one thread. scikit-learn's models have their own defaults (1,000
iterations for the logistic regression), and are fitted on the same prepared training rows; nobody
sees the validation rows but the networks, which keep the weights of their best validation.
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
    return RunConfig.model_validate(
        {
            "task": {"kind": TASKS[source]},
            "data": {"source": source, "split_seed": split},
            "model": {"family": family},
            "trainer": {"accelerator": "cpu"},
            "seed": split,
        }
    )


def trained(source: str, family: str, split: int) -> tuple[float, float]:
    config = config_of(source, family, split)
    data = open_data(config, with_test=True)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        train(config, Path(folder), data=data)
        seconds = time.process_time() - started
        values = score(config, Path(folder) / "best.ckpt", split="test", data=data).metrics
    return values["r2" if TASKS[source] == "regression" else "accuracy"], seconds


def fitted(source: str, name: str, split: int) -> tuple[float, float]:
    data: RunData = open_data(config_of(source, "mlp", split), with_test=True)
    if data.prepared is None or data.prepared.test is None:
        raise TypeError("these data are prepared by us, with test rows")
    train_rows, test_rows = data.prepared.train, data.prepared.test
    regression = TASKS[source] == "regression"
    if name == BOOSTING:
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        model = kind(random_state=split)
    else:
        model = Ridge() if regression else LogisticRegression(max_iter=1000)
    started = time.process_time()
    model.fit(train_rows.x.flatten(1).numpy(), train_rows.y.numpy())
    seconds = time.process_time() - started
    return model.score(test_rows.x.flatten(1).numpy(), test_rows.y.numpy()), seconds


def cell(source: str, name: str) -> Cell | None:
    kind = "image" if source in IMAGES else "features"
    if name in FAMILIES and kind not in FAMILIES[name].takes:
        return None
    one = trained if name in FAMILIES else fitted
    values, seconds = zip(*(one(source, name, split) for split in SPLITS), strict=True)
    found = Cell(list(values), list(seconds))
    print(f"{name:30} {source:15} {found.text()}", flush=True)
    return found


def table(names: list[str], sources: list[str]) -> str:
    lines = ["| model | " + " | ".join(sources) + " |", "|---" * (len(sources) + 1) + "|"]
    for name in names:
        cells = [cell(source, name) for source in sources]
        lines.append(f"| {name} | " + " | ".join(c.text() if c else "–" for c in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=[BOOSTING, LINEAR, *FAMILIES])
    parser.add_argument("--data", nargs="*", default=list(TASKS))
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    text = table(chosen.families, chosen.data)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, "
    versions += f"scikit-learn {sklearn.__version__}"
    print(text)
    if chosen.write:
        REPORT.write_text(f"{ABOUT}\n{text}\n{versions}.\n", encoding="utf-8")
        print(f"written to {REPORT}")


if __name__ == "__main__":
    main()
