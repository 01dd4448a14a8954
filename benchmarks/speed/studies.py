"""The shipped studies that are compared, as plain values, and configs drawn from their spaces."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from pydantic import ValidationError
from sklearn.datasets import load_breast_cancer

from hpo.files import dump_yaml
from hpo.grammar.nodes import Scalar
from hpo.spec import StudySpec, load_study
from lightning_modules.config import RunConfig
from lightning_modules.seeds import derive

Values = dict[str, Any]
Params = dict[str, Scalar]
SAME = ("task", "data", "model", "optimizer", "schedule", "objective", "seed")
"""The sections that must agree where two configs are to train the same network."""
TRAINED = ("max_epochs", "batch_size", "gradient_clip", "validate_every", "early_stopping")
"""What of ``trainer`` must; precision and threads are each program's own."""
STOPS_NOBODY = 0.999999
"""The share of trials that the pruner, asked all the same, lets run to their end."""


def study_of(name: str, folder: Path, accelerator: str = "cpu") -> Values:
    """Return a study by the name that the tables give it, as shipped.

    Args:
        name: ``mlp``, ``quickstart``, ``cnn`` (the quickstart's branch), ``table``, ``gru``,
            ``regression``.
        folder: where the table's file is put.
        accelerator: what all train on.
    """
    sets = [f"trainer.accelerator={accelerator}"]
    if name == "table":
        sets += [f"data.path={json.dumps(str(breast_cancer(folder)))}"]
    if name == "cnn":
        sets += ["model=cnn"]
    return load_study("quickstart" if name == "cnn" else name, sets).values()


def breast_cancer(folder: Path) -> Path:
    """Return a CSV of scikit-learn's breast_cancer, written once."""
    path = folder / "breast_cancer.csv"
    if not path.exists():
        load_breast_cancer(as_frame=True).frame.to_csv(path, index=False)
    return path


def with_settings(values: Values, **sections: Mapping[str, Any]) -> Values:
    """Return a study with settings of whole sections put in."""
    changed = {name: {**values.get(name, {}), **new} for name, new in sections.items()}
    return {**values, **changed}


def shrunken(values: Values, epochs: int = 2) -> Values:
    """Return a study of a few epochs, for runs that only show that a program works."""
    return with_settings(values, trainer={"max_epochs": epochs})


def write_study(values: Values, path: Path) -> Path:
    """Write a study file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_yaml(values), encoding="utf-8")
    return path


def draw(spec: StudySpec, n: int) -> list[Params]:
    """Return the parameters of the families' defaults, then of random draws from the whole space.

    Draws whose settings exclude each other are passed over.
    """
    params = [default.params for default in spec.space.defaults()]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=spec.search.seed))
    while len(params) < n:
        trial = study.ask()
        try:
            spec.space.sample(trial)
        except ValidationError:
            continue
        params.append(dict(trial.params))
    return params[:n]


def given_study(values: Values, params: list[Params]) -> Values:
    """Return the study whose trials are exactly these, to their end, the pruner asked and heard.

    The first are the defaults, which come first in any case.
    """
    spec = load_study(values)
    first = params[len(spec.space.defaults()) :]
    search = {"first": first, "audit": STOPS_NOBODY}
    return {**with_settings(values, search=search), "budget": {"trials": len(params)}}


def configs_of(spec: StudySpec, params: list[Params]) -> list[RunConfig]:
    """Return the configs of these trials, their seeds as our study gives them."""
    seed = spec.search.seed
    return [spec.space.resolve(one, seed=derive(seed, n)) for n, one in enumerate(params)]


def identity(config: Mapping[str, Any]) -> str:
    """Return a hash of what a plain config says of network, data and training: equal, same task."""
    kept: Values = {name: config[name] for name in SAME}
    kept["data"] = {key: value for key, value in kept["data"].items() if key != "path"}
    kept["trainer"] = {name: config["trainer"][name] for name in TRAINED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
