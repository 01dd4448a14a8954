"""The answers of a report as plain values: what `hpo report --json` prints."""

from dataclasses import asdict
from typing import Any

from hpo.insight.study import Insight
from hpo.words import counts


def answers(insight: Insight) -> dict[str, Any]:
    """Return every answer in words and its numbers, ready for JSON."""
    material, gain, audit = insight.material, insight.gain, insight.audit
    best, seeds = material.best, insight.luck.record
    top, training = insight.top, insight.training
    return {
        "study": material.name,
        "metric": material.metric,
        "direction": material.direction,
        "trials": counts(material.records),
        "running": material.running,
        "best": None if best is None else {"trial": best.number, "value": best.value},
        "gain": {
            "default": gain.default,
            "gained": gain.gained,
            "ci95": None if gain.span is None else [gain.span.low, gain.span.high],
            "basis": gain.basis,
            "epochs": gain.epochs,
            "idle_share": gain.idle,
            "second_half": gain.second_half,
            "sentence": gain.sentence,
        },
        "top": {
            "trials": [
                {
                    "trial": one.record.number,
                    "value": one.record.value,
                    "ci95": None if one.span is None else [one.span.low, one.span.high],
                    "within_noise": one.within_noise,
                }
                for one in top.contenders
            ],
            "alike": top.n_alike,
            "sentence": top.sentence,
        },
        "luck": {"measured": seeds is not None, "sentence": insight.luck.sentence},
        "training": {
            "late": training.late,
            "early": training.early,
            "early_stopped": training.early_stopped,
            "diverged": training.diverged,
            "sentence": training.sentence,
        },
        "pruning": {
            "pruned": audit.n_pruned,
            "saved_share": audit.saved,
            "audited": len(audit.audited),
            "wrong": audit.wrong,
            "ci95": [audit.span.low, audit.span.high],
            "regret": audit.regret,
            "rank_correlation": audit.correlation,
            "sentence": audit.sentence,
        },
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
            "smaller_and_as_good": None
            if insight.cost.cheaper is None
            else insight.cost.cheaper.number,
            "sentence": insight.cost.sentence,
        },
        "failures": {
            "by_reason": {k: list(v) for k, v in insight.failures.by_reason.items()},
            "sentence": insight.failures.sentence,
        },
        "conclusion": insight.conclusion.sentences,
    }
