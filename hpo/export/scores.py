"""What a model came to, as the records say it: with intervals where it was evaluated."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo.errors import UsageError
from hpo.evaluations import Evaluation, read_evaluation, read_openings
from hpo.export.source import Source
from hpo.ship.combined import EnsembleRecord, Scores
from hpo.ship.manifest import Scored
from lightning_modules.config import RunConfig
from lightning_modules.durable import file_sha256
from lightning_modules.evaluation.findings import ClassScores
from lightning_modules.task import METRICS


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What is known of a model's worth."""

    scores: list[Scored]
    """The objective first, of validation and of test."""
    others: list[Scored]
    """All other metrics of the same evaluations."""
    per_class: Mapping[str, list[ClassScores]]
    """By split."""
    remarks: list[str]


def worth_of(source: Source, n_rows: int) -> Worth:
    """Return what the records hold of a model.

    Args:
        source: its records.
        n_rows: of validation, where no record counts them.
    """
    if source.ensemble is not None:
        return _of_ensemble(source, source.ensemble)
    evaluated = _evaluations(source)
    scores = [one for each in evaluated for one in _scored(each) if one.metric == each.metric]
    if not any(one.split == "validation" for one in scores):
        scores = [*_recorded(source, source.first.config, n_rows), *scores]
    return Worth(
        scores=scores,
        others=[one for each in evaluated for one in _scored(each) if one.metric != each.metric],
        per_class={one.split: one.findings.per_class or [] for one in evaluated},
        remarks=_remarks(source, evaluated),
    )


def recorded_run(source: Source) -> dict[str, Any]:
    """Return the run's outcome as ``result.json`` holds it; empty where there is none."""
    file = source.config_file.parent / "result.json"
    try:
        run = json.loads(file.read_text(encoding="utf-8"))["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return run if isinstance(run, dict) else {}


def recorded_hashes(source: Source) -> dict[str, str | None]:
    """Return the hashes of data and split that a model was trained on, as far as they are known."""
    if source.ensemble is not None:
        record = source.ensemble
        return {"data_sha256": record.data_sha256, "split_sha256": record.split_sha256}
    data: Mapping[str, Any] = recorded_run(source).get("data") or {}
    if source.best is not None:
        data = source.best.data
    return {"data_sha256": data.get("sha256"), "split_sha256": data.get("split_sha256")}


def _evaluations(source: Source) -> list[Evaluation]:
    """Return the evaluations of this very checkpoint, of validation and of test."""
    if source.study is None:
        return []
    found = []
    for split in ("validation", "test"):
        try:
            one = read_evaluation(source.study.evaluated(split))
        except UsageError:  # there is none, or it is damaged
            continue
        if one.checkpoint_sha256 == source.described[0]["checkpoint_sha256"]:
            found.append(one)
    return found


def _scored(evaluation: Evaluation) -> list[Scored]:
    """Return all metrics of an evaluation that have a value, with their intervals."""
    found, objective = evaluation.findings, evaluation.metric
    ways = {name: str(metric.direction) for name, metric in METRICS.items()}
    ways[objective] = evaluation.direction
    plain = {"split": evaluation.split, "n_rows": found.n_rows or 0}
    measured = {name: value for name, value in found.metrics.items() if value is not None}
    return [
        Scored.model_validate(
            {**plain, "metric": name, "value": value}
            | {"direction": ways.get(name, "minimize"), "ci95": found.ci95.get(name)}
        )
        for name, value in measured.items()
    ]


def _recorded(source: Source, config: RunConfig, n_rows: int) -> list[Scored]:
    """Return the objective at the best validation, as training recorded it."""
    folds = _folds_of(source)
    plain: dict[str, Any] = {
        "metric": config.objective.metric,
        "direction": str(config.objective.direction),
        "split": "validation" if folds is None else "out of fold",
    }
    if source.best is not None:
        metric = source.best.metric
        known = {"value": metric["value"], "ci95": metric["ci95_examples"]}
        counted = {"n_rows": metric["n_examples"] or n_rows}
        return [Scored.model_validate({**plain, **known, **counted})]
    run = recorded_run(source)
    if "value" not in run:
        return []
    if folds is not None:  # each row was validated once, by a network that did not see it
        counts = run["data"]["n_rows"]
        n_rows = counts["train"] + counts["validation"]
    return [Scored.model_validate({**plain, "value": run["value"], "ci95": None, "n_rows": n_rows})]


def _folds_of(source: Source) -> list[float] | None:
    """Return the objective of each fold; None of a run without."""
    if source.best is not None:
        return source.best.metric.get("folds")
    return recorded_run(source).get("folds")


def _of_ensemble(source: Source, record: EnsembleRecord) -> Worth:
    """Return what an ensemble came to on rows that did not choose it, and on the test split."""
    tested = _tested(source)
    measured = [record.scores, *([tested] if tested is not None else [])]
    scored = [
        Scored(
            metric=record.metric,
            direction=record.direction,
            split=one.split,
            value=one.ensemble,
            ci95=None,
            n_rows=one.n_rows,
        )
        for one in measured
    ]
    remarks = [_beside(record, one) for one in measured]
    if tested is None:
        remarks.append(f"On the test split: hpo evaluate {record.study} --ensemble --test.")
    return Worth(
        scores=scored,
        others=[],
        per_class={},
        remarks=[*remarks, f"Why it is used or not: {record.why}."],
    )


def _beside(record: EnsembleRecord, scores: Scores) -> str:
    """Return how an ensemble stands beside the best of its networks, in words."""
    interval = ""
    if scores.ci95 is not None:
        interval = f" (95 % {scores.ci95[0]:.4g} to {scores.ci95[1]:.4g})"
    return (
        f"The single best network, trial {record.single}, has {scores.single:.4g} on the same rows "
        f"of {scores.split}; the difference is {scores.difference:+.4g}{interval}."
    )


def _tested(source: Source) -> Scores | None:
    """Return what this very ensemble came to on the test split; None if that is not known."""
    if source.study is None:
        return None
    try:
        text = source.study.evaluated("ensemble").read_text(encoding="utf-8")
        values = json.loads(text)
        if values["ensemble_sha256"] != file_sha256(source.record):
            return None
        return Scores.model_validate(values["scores"])
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
        return None


def _remarks(source: Source, evaluated: list[Evaluation]) -> list[str]:
    folds = _folds_of(source)
    remarks = [] if folds is None else [_fold_words(folds, evaluated)]
    n_opened = _times_opened(source)
    if n_opened:
        times = "once" if n_opened == 1 else f"{n_opened} times"
        ours = any(one.split == "test" for one in evaluated) or _is_recorded(source)
        whose = "" if ours else ", for other networks"
        remarks.append(f"The test split was opened {times}{whose}.")
    elif source.best is not None and n_opened == 0:
        remarks.append("The test split was never opened: hpo evaluate STUDY --test does that once.")
    seeds = source.best.metric["seeds"] if source.best is not None else None
    if seeds is not None:
        remarks.append(_seed_words(dict(seeds)))
    if source.best is not None:
        remarks.append(
            "The validation rows chose this config among others, so that their value is somewhat "
            "optimistic; those of the test split chose nothing."
        )
    return remarks


def _fold_words(folds: list[float], evaluated: list[Evaluation]) -> str:
    """Return what a value over folds has to do with the one network in the file."""
    mean = "" if evaluated else f"The value is the mean of {len(folds)} folds, a network each. "
    return (
        f"{mean}The network in this file is that of the first fold, to which the counts of rows "
        f"below belong; in the search it came to {folds[0]:.4g}."
    )


def _times_opened(source: Source) -> int | None:
    """Return how often the test split was opened, for whichever network; None if nobody knows."""
    recorded = 0 if source.best is None else int(source.best.test["opened"])
    if source.study is None:
        return recorded
    try:
        return max(recorded, len(read_openings(source.study.evaluated("test"))))
    except UsageError:  # the log is damaged
        return recorded or None


def _is_recorded(source: Source) -> bool:
    return source.best is not None and bool(source.best.test["opened"])


def _seed_words(seeds: Mapping[str, Any]) -> str:
    spread = "" if seeds["sd"] is None else f" (sd {seeds['sd']:.2g})"
    n = len(seeds["values"])
    return f"Trained again with {n} fresh seeds it came to {seeds['mean']:.4g}{spread} on average."
