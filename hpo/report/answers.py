"""The answers of a report as plain values: what `hpo report --json` prints."""

from dataclasses import asdict
from typing import Any

from hpo.insight.noise import Span
from hpo.insight.study import Insight
from hpo.words import counts


def answers(insight: Insight) -> dict[str, Any]:
    """Return every answer in words and its numbers, ready for JSON."""
    material, best = insight.material, insight.material.best
    cheaper = insight.cost.cheaper
    return {
        "study": material.name,
        "metric": material.metric,
        "direction": material.direction,
        "trials": counts(material.records),
        "running": material.running,
        "best": None if best is None else {"trial": best.number, "value": best.value},
        "gain": _gain(insight),
        "top": _top(insight),
        "luck": {"measured": insight.luck.record is not None, "sentence": insight.luck.sentence},
        "training": _training(insight),
        "pruning": _pruning(insight),
        "importance": {
            "parameters": [asdict(one) for one in insight.importance.found],
            "explained": insight.importance.explained,
            "sentence": insight.importance.sentence,
        },
        "edges": [asdict(edge) for edge in insight.edges],
        "families": {
            "cells": [asdict(cell) for cell in insight.matrix.cells],
            "sentence": insight.matrix.sentence,
        },
        "cost": {
            "smaller_and_as_good": None if cheaper is None else cheaper.number,
            "sentence": insight.cost.sentence,
        },
        "failures": {
            "by_reason": {k: list(v) for k, v in insight.failures.by_reason.items()},
            "sentence": insight.failures.sentence,
        },
        "conclusion": insight.conclusion.sentences,
    }


def _gain(insight: Insight) -> dict[str, Any]:
    found = insight.gain
    return {
        "default": found.default,
        "gained": found.gained,
        "ci95": _ends(found.span),
        "basis": found.basis,
        "epochs": found.epochs,
        "idle_share": found.idle,
        "second_half": found.second_half,
        "sentence": found.sentence,
    }


def _top(insight: Insight) -> dict[str, Any]:
    found = insight.top
    trials = [
        {
            "trial": one.record.number,
            "value": one.record.value,
            "ci95": _ends(one.span),
            "within_noise": one.within_noise,
        }
        for one in found.contenders
    ]
    return {"trials": trials, "alike": found.n_alike, "sentence": found.sentence}


def _training(insight: Insight) -> dict[str, Any]:
    keys = ("late", "early", "early_stopped", "diverged", "sentence")
    return {key: getattr(insight.training, key) for key in keys}


def _pruning(insight: Insight) -> dict[str, Any]:
    found = insight.audit
    return {
        "pruned": found.n_pruned,
        "saved_share": found.saved,
        "audited": len(found.audited),
        "wrong": found.wrong,
        "ci95": _ends(found.span),
        "regret": found.regret,
        "rank_correlation": found.correlation,
        "sentence": found.sentence,
    }


def _ends(span: Span | None) -> list[float] | None:
    return None if span is None else [span.low, span.high]
