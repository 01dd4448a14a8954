"""Is a parameter without effect grey, and does the learning rate stand out, however collected?"""

import math
from typing import Any

import numpy as np
import optuna

from benchmarks.honesty_noise import SEED, Noise, Row
from hpo.insight.axes import Axis, axes_of
from hpo.insight.importance import importances
from hpo.records import TrialRecord
from hpo.search import RandomConfig, TpeConfig
from hpo.strategies import make_sampler

STUDIES = 60
N_TRIALS = 60
GREY, SEEN = 0.95, 0.9
SPACE: dict[str, Any] = {
    "model": {
        "one_of": {
            "mlp": {
                "width": {"low": 16, "high": 256, "log": True},
                "idle": {"low": 0.0, "high": 1.0},
            },
            "cnn": {"idle": {"choices": ["a", "b", "c"]}},
        }
    },
    "optimizer": {
        "one_of": {
            "adamw": {
                "lr": {"low": 1e-5, "high": 1e-1, "log": True},
                "idle": {"low": 1e-6, "high": 1e-2, "log": True},
            },
            "sgd": {
                "lr": {"low": 1e-4, "high": 1.0, "log": True},
                "idle": {"low": 0.0, "high": 0.99},
            },
        }
    },
    "trainer": {"idle": {"low": 0.0, "high": 1.0}, "pair": {"choices": ["x", "y"]}},
}
AXES = axes_of(SPACE)
IDLE = [axis.name for axis in AXES if axis.name.endswith(("idle", "pair"))]
RATES = [axis.name for axis in AXES if axis.name.endswith("lr")]
BEST = {"adamw": -2.5, "sgd": -1.0}
"""Where the learning rate is best, in decades."""


def importance_part(noise: Noise) -> list[Row]:
    """Return how often parameters without effect are grey, and how often the lr is not."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    for name, sampler in (("random", RandomConfig()), ("TPE", TpeConfig())):
        told = [_stand_out(noise, sampler, study) for study in range(STUDIES)]
        grey = [not one[axis] for one in told for axis in IDLE if axis in one]
        seen = [any(one.get(axis) for axis in RATES) for one in told]
        kind = f"{STUDIES} studies of {N_TRIALS} trials by {name}"
        rows.append(_row(f"a parameter without effect is grey, {kind}", grey, GREY))
        rows.append(_row(f"the learning rate stands out, {kind}", seen, SEEN))
    return rows


def _row(what: str, told: list[bool], wanted: float) -> Row:
    share = sum(told) / len(told)
    found = f"{share:.1%} of {len(told)}"
    return Row(what=what, wanted=f"≥ {wanted:.0%}", found=found, holds=share >= wanted)


def _stand_out(noise: Noise, sampler: Any, study: int) -> dict[str, bool]:
    """Return which parameters of a simulated study stand out; those tried too rarely not at all."""
    records = _records(noise, sampler, study)
    axes = axes_of(SPACE, records)
    found = importances(records, axes, {}, direction="maximize")
    return {one.name: one.stands_out for one in found.found if one.share is not None}


def _records(noise: Noise, sampler: Any, study: int) -> list[TrialRecord]:
    random = np.random.default_rng([SEED, 11, study])
    search = optuna.create_study(direction="maximize", sampler=make_sampler(sampler, seed=study))
    records = []
    for number in range(N_TRIALS):
        trial = search.ask()
        params = _decided(trial)
        value = _value(params, noise) + float(random.choice(noise.residuals))
        search.tell(trial, value)
        records.append(_record(number, params, value))
    return records


def _decided(trial: optuna.Trial) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for axis in AXES:
        if all(params.get(name) == branch for name, branch in axis.branch):
            params[axis.name] = _suggest(trial, axis)
    return params


def _suggest(trial: optuna.Trial, axis: Axis) -> Any:
    if axis.low is None or axis.high is None:
        return trial.suggest_categorical(axis.name, list(axis.options))
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def _value(params: dict[str, Any], noise: Noise) -> float:
    """Return a config's true value: the lr's, and a little of the family and the width."""
    optimizer = params["optimizer"]
    off = math.log10(params[f"optimizer.{optimizer}.lr"]) - BEST[optimizer]
    value = 0.95 - noise.between * min(off**2, 4.0)
    value += 0.5 * noise.between * (params["model"] == "cnn")
    width = params.get("model.mlp.width", 64)
    return value + 0.2 * noise.between * math.log(width / 64)


def _record(number: int, params: dict[str, Any], value: float) -> TrialRecord:
    run = {
        "value": value, "best_validation": 1, "best_epoch": 1.0, "metrics": {},
        "stopped_by": "max_epochs", "epochs_run": 1.0, "validations": 1, "steps": 1, "seconds": 1.0,
        "n_parameters": 1, "size_bytes": 4, "latency_ms": None, "device": "cpu",
        "checkpoint": {"path": "best.ckpt", "sha256": "0" * 64, "bytes": 1},
        "data": {"source": "none", "sha256": None, "split_sha256": None,
                 "preparation_sha256": None, "n_rows": {}, "classes": None,
                 "majority_class": None},
    }  # fmt: skip
    return TrialRecord.model_validate(
        {
            "schema": "hpo.trial/1", "study": "simulated", "number": number, "state": "complete",
            "params": params, "config": {}, "config_sha256": f"{number:064d}", "seed": number,
            "run": run, "started_utc": "", "ended_utc": "", "seconds": 1.0,
        }
    )  # fmt: skip
