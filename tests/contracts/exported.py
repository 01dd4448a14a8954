"""Runs of every kind of rows and task with fresh weights, for what every exported file keeps to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hpo.export.contents import manifest_of, pack
from hpo.export.export import Form, content_of
from hpo.export.source import Source
from hpo.predict.ensembles import EnsemblePredictor
from hpo.predict.predictor import Raw
from hpo.predict.runs import RunPredictor
from hpo.ship.combined import EnsembleRecord, Member, Method, Scores
from hpo.ship.drift import quantities_of, statistics_of
from hpo.ship.manifest import Manifest
from lightning_modules.config import RunConfig
from lightning_modules.data.config import PrepareConfig
from lightning_modules.data.facts import facts_of_fitted
from lightning_modules.data.fitted import Fitted
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.data.frames import Array
from lightning_modules.data.kinds import ragged
from lightning_modules.data.prepare import fit_preparation
from lightning_modules.data.table_preparation import fit_table
from lightning_modules.data.target import fit_target
from lightning_modules.module import SupervisedModule
from tests.contracts.family_runs import SMALL

N_ROWS, WINDOW, HORIZON = 60, 6, 2
WORDS = ("one", "two", "three", "four", "five")
NAMES = ("first", "second", "third")
EVERYTHING = ("impute", "indicator", "clip", "rare", "scale", "pca", "length", "difference")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A family on some rows for a task, prepared in a way of its own."""

    family: str
    rows: str
    """table, image, sequence (all of one length), ragged, text or window."""
    task: str
    model: Mapping[str, Any] = field(default_factory=dict)
    prepare: Mapping[str, Any] = field(default_factory=dict)
    several: bool = False
    """Whether three numbers are predicted."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the task."""

    def __str__(self) -> str:
        return f"{self.family}-{self.rows}-{self.task}"


def table(n_rows: int = N_ROWS, *, seed: int = 0) -> pd.DataFrame:
    """Return numbers, categories, truths and dates, some of them missing."""
    drawn = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "width": drawn.normal(3.0, 2.0, n_rows),
            "town": drawn.choice(["Ulm", "Köln", "東京"], n_rows, p=[0.6, 0.3, 0.1]).astype(object),
            "price": np.exp(drawn.normal(8.0, 1.0, n_rows)),
            "born": pd.Series(drawn.integers(-(10**9), 2 * 10**9, n_rows), dtype="int64"),
            "member": drawn.choice(["False", "True"], n_rows).astype(object),
            "same": np.full(n_rows, 7.0),
        }
    )
    frame["born"] = pd.to_datetime(frame["born"], unit="s").astype("datetime64[us]")
    frame.loc[drawn.random(n_rows) < 0.2, "price"] = np.nan
    frame.loc[drawn.random(n_rows) < 0.2, "town"] = None
    frame.loc[drawn.random(n_rows) < 0.2, "born"] = pd.NaT
    return frame


def new_rows(rows: str, seed: int = 1) -> Raw:
    """Return rows that training did not see: of a table with an unknown category."""
    raw = raw_rows(rows, seed=seed)
    if isinstance(raw, pd.DataFrame):
        raw.loc[0, "town"] = "Rom"
        raw.loc[1, "price"] = 1e12
    return raw


def raw_rows(rows: str, *, seed: int = 0) -> Raw:
    """Return raw rows of a kind."""
    drawn = np.random.default_rng(seed)
    if rows == "table":
        return table(seed=seed)
    if rows == "image":
        return drawn.integers(0, 256, (N_ROWS, 2, 8, 8)).astype(np.uint8)
    if rows == "sequence":
        values = drawn.normal(2.0, 3.0, (N_ROWS, 9, 2))
        values[drawn.random(values.shape) < 0.1] = np.nan
        return values
    lengths = drawn.integers(3, 10, N_ROWS)
    if rows == "ragged":
        return ragged([drawn.normal(2.0, 3.0, (length, 2)) for length in lengths])
    if rows == "text":
        texts = [" ".join(drawn.choice([*WORDS, "?"], length)) for length in lengths]
        return np.array([*texts[:-1], None], dtype=object)
    frame = table(N_ROWS * WINDOW, seed=seed)
    return frame.assign(target=np.exp(drawn.normal(1.0, 0.3, len(frame))))


def targets_of(case: Case) -> Array:
    """Return targets of each row."""
    drawn = np.random.default_rng(3)
    if case.task in ("binary", "multiclass"):
        return np.array(["no", "yes", "=so"])[np.arange(N_ROWS) % (2 + (case.task != "binary"))]
    if case.task == "multilabel":
        return drawn.integers(0, 2, (N_ROWS, 3)).astype(np.float64)
    values = np.exp(drawn.normal(2.0, 1.0, (N_ROWS, 3)))
    return values if case.several else values[:, 0]


def run_of(case: Case) -> RunPredictor:
    """Return a run that was never trained: fitted on rows, its weights fresh."""
    config = RunConfig.model_validate(
        {
            "task": {"kind": case.task, **case.settings}
            | ({"window": WINDOW, "horizon": HORIZON} if case.task == "forecasting" else {}),
            "data": {"source": "arrays", "name": "made", "prepare": case.prepare},
            "model": {"family": case.family, **small(case.family), **case.model},
            "trainer": {"accelerator": "cpu"},
        }
    )
    fitted = fitted_of(case, PrepareConfig.model_validate(case.prepare))
    torch.manual_seed(0)
    module = SupervisedModule(config, facts_of_fitted(fitted, case.task)).eval()
    return RunPredictor(config=config, fitted=fitted, module=module)


def small(family: str) -> dict[str, Any]:
    """Return settings that make a network small."""
    from lightning_modules.families import FAMILIES

    fields = FAMILIES[family].config.model_fields
    return {name: value for name, value in SMALL.items() if name in fields}


def fitted_of(case: Case, prepare: PrepareConfig) -> Fitted:
    """Return what was fitted on the rows of a case."""
    raw = raw_rows(case.rows)
    several = NAMES if case.several or case.task == "multilabel" else None
    if case.rows == "window":
        assert isinstance(raw, pd.DataFrame)
        others = fit_table(raw.drop(columns="target"), prepare, {"born": "ymd"})
        preparation: Any = WindowPreparation(
            target="target", others=others, window=WINDOW, horizon=HORIZON
        )
        target = fit_target(raw["target"], task_kind=case.task, config=prepare)
        shape = [WINDOW, 1 + others.n_features]
        return Fitted(input_shape=shape, preparation=preparation, target=target)
    preparation = fit_preparation(raw, prepare, date_orders={"born": "ymd"})
    target = fit_target(targets_of(case), task_kind=case.task, config=prepare, names=several)
    shape = list(preparation.apply(raw[:2]).shape[1:])
    return Fitted(input_shape=shape, preparation=preparation, target=target)


def source_of(run: RunPredictor) -> Source:
    """Return a run as what is exported."""
    described = {"trial": None, "weight": 1.0, "checkpoint_sha256": "0" * 64}
    return Source(
        record=Path("run"),
        name="made",
        study=None,
        members=[run],
        described=[described],
        predictor=run,
        config_file=Path("run/config.json"),
    )


def ensemble_of(runs: Sequence[RunPredictor], method: Method) -> Source:
    """Return runs as an ensemble that is exported."""
    answers = runs[0].answers
    members = [
        Member(trial=i, folder="run", checkpoint_sha256="0" * 64, weight=1 / len(runs), value=0.5)
        for i in range(len(runs))
    ]
    scores = Scores(
        split="validation",
        n_rows=9,
        kept_together="rows",
        ensemble=0.6,
        single=0.5,
        difference=0.1,
        ci95=None,
        ahead=1.0,
        resamples=0,
    )
    record = EnsembleRecord(
        schema="hpo.ensemble/1",
        study="made",
        kind=answers.kind,
        metric="accuracy",
        direction="maximize",
        method=method,
        members=members,
        considered=[0, 1],
        left_out=[],
        single=0,
        scores=scores,
        better=True,
        used=True,
        why="it is better",
        seed=0,
        data_sha256=None,
        split_sha256=None,
        null_because={},
        created_utc="2026-11-22T00:00:00Z",
    )
    return replace(
        source_of(runs[0]),
        members=runs,
        described=[{"trial": i, "weight": 0.5, "checkpoint_sha256": "0" * 64} for i in range(2)],
        predictor=EnsemblePredictor(record=record, members=runs),
        ensemble=record,
    )


def exported(source: Source, raw: Raw, form: Form) -> tuple[bytes, Manifest]:
    """Return the bytes of a file, and the manifest that was put into it."""
    packed, predictor = pack(source), source.predictor
    found = quantities_of(source.first.fitted, raw)
    statistics = statistics_of(found, predictor.outputs(raw), predictor.answers)
    manifest = manifest_of(source, packed, scores=[], statistics=statistics, form=form)
    return content_of(packed, manifest, form), manifest


def first(raw: Raw, n_rows: int, rows: str) -> Raw:
    """Return the first rows."""
    n = n_rows * (WINDOW if rows == "window" else 1)
    return raw.iloc[:n] if isinstance(raw, pd.DataFrame) else raw[:n]
