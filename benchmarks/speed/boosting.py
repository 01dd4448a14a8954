"""Gradient boosting on the rows of a study, for so long: what a table is to be measured against.

    python -m benchmarks.speed.boosting STUDY.yaml --seconds 600 [--autogluon]

scikit-learn's HistGradientBoosting, random search over the space that people search, two threads;
or AutoGluon, where it is installed. Same prepared training rows; chosen on the validation rows;
prints validation and test value of the study's objective.
"""

import argparse
import importlib.util
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks.speed.parts import opened
from hpo.spec import load_study
from lightning_modules.build import RunData
from lightning_modules.config import RunConfig
from lightning_modules.data.prepared import Rows
from lightning_modules.metrics import compute
from lightning_modules.task import METRICS

GLUON_METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "rmse": "rmse"}


def has_autogluon() -> bool:
    """Return whether AutoGluon's tables are installed."""
    return importlib.util.find_spec("autogluon") is not None


class Judge:
    """Measures predictions by the study's objective, as every network's are."""

    def __init__(self, config: RunConfig, data: RunData) -> None:
        assert data.facts is not None
        self.config, self.facts = config, data.facts
        self.numbers = config.kind == "regression"
        self.maximize = config.objective.direction == "maximize"

    def __call__(self, predicted: Any, rows: Rows) -> float:
        outputs = torch.as_tensor(np.asarray(predicted))
        metric = METRICS[self.config.objective.metric]
        if not self.numbers:
            return compute(metric, outputs.float(), rows.y)
        return compute(metric, self.facts.in_units(outputs), self.facts.in_units(rows.y))

    def better(self, value: float, than: float | None) -> bool:
        """Return whether a value is better than the best so far."""
        return than is None or (value > than if self.maximize else value < than)


def flat(rows: Rows) -> Any:
    """Return features as a table: pixels side by side."""
    return rows.x.flatten(1).numpy()


def drawn(random: np.random.Generator) -> dict[str, Any]:
    """Draw settings from the space that people search."""

    def log(low: float, high: float) -> float:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    return {
        "learning_rate": log(0.01, 0.5),
        "max_leaf_nodes": round(log(7, 127)),
        "min_samples_leaf": round(log(3, 60)),
        "l2_regularization": log(1e-6, 10.0),
        "max_features": float(random.uniform(0.3, 1.0)),
        "max_iter": round(log(50, 500)),
    }


def boost(data: RunData, judge: Judge, until: float) -> tuple[float, float, int]:
    """Search at random until the time is over; return validation value, test value, tries."""
    assert data.prepared is not None
    assert data.prepared.test is not None
    train, validation, test = data.prepared.train, data.prepared.validation, data.prepared.test
    kind = HistGradientBoostingRegressor if judge.numbers else HistGradientBoostingClassifier
    random, tries = np.random.default_rng(0), 0
    best: float | None = None
    tested = float("nan")
    while not tries or time.time() < until:
        settings = drawn(random) if tries else {}
        model = kind(random_state=0, early_stopping=False, **settings)
        model.fit(flat(train), train.y.numpy())
        predict = model.predict if judge.numbers else model.predict_proba
        value = judge(predict(flat(validation)), validation)
        tries += 1
        if judge.better(value, best):
            best, tested = value, judge(predict(flat(test)), test)
    assert best is not None
    return best, tested, tries


def glue(data: RunData, judge: Judge, until: float, folder: Path) -> tuple[float, float, int]:
    """Let AutoGluon do what it does in that time."""
    from autogluon.tabular import TabularPredictor

    assert data.prepared is not None
    assert data.prepared.test is not None

    def frame(rows: Rows) -> pd.DataFrame:
        return pd.DataFrame(flat(rows)).add_prefix("x").assign(y=rows.y.numpy())

    metric = GLUON_METRICS[judge.config.objective.metric]
    predictor = TabularPredictor("y", eval_metric=metric, path=str(folder), verbosity=0)
    train, validation = frame(data.prepared.train), frame(data.prepared.validation)
    predictor.fit(
        train, tuning_data=validation, time_limit=max(until - time.time(), 10), num_cpus=2
    )
    values = []
    for rows in (data.prepared.validation, data.prepared.test):
        x = frame(rows).drop(columns="y")
        predicted = predictor.predict(x) if judge.numbers else predictor.predict_proba(x)
        values.append(judge(predicted, rows))
    return values[0], values[1], len(predictor.model_names())


def main() -> None:
    """Search, and print what came of it as JSON."""
    began = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--autogluon", action="store_true")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    space = load_study(given.study).space
    config = space.resolve(space.defaults()[0].params)
    data = opened(config, with_test=True)
    judge, until = Judge(config, data), began + given.seconds
    if given.autogluon:
        found = glue(data, judge, until, given.study.parent / "autogluon")
    else:
        found = boost(data, judge, until)
    print(json.dumps(dict(zip(("validation", "test", "tries"), found, strict=True))))


if __name__ == "__main__":
    main()
