"""How a trial ended, as its record: trained, taken over from an equal one, or never possible."""

import time
from dataclasses import dataclass
from typing import Any

from hpo.proposals import Misfit, Proposal
from hpo.protocol import TrialEnd
from hpo.records import TrialRecord, config_sha256, now_utc


@dataclass(kw_only=True)
class Attempt:
    """A trial that runs."""

    proposal: Proposal
    started_utc: str
    started: float


def trained_record(
    study: str, attempt: Attempt, end: TrialEnd, *, attempts: int, audit: int | None
) -> TrialRecord:
    """Return the record of a trial that was begun.

    Args:
        study: its name.
        attempt: the trial's last one.
        end: how that ended.
        attempts: how often it was begun.
        audit: the validation at which the pruner would have stopped it.
    """
    proposal, result = attempt.proposal, end.result
    state = "failed"
    if result is not None:
        state = "pruned" if result.stopped_by in ("pruner", "user") else "complete"
    notes = list(proposal.notes)
    if result is not None and result.stopped_by == "user":
        notes.append("stopped by hand")
    if audit is not None:
        notes.append(f"audit: the pruner would have stopped it at validation {audit}")
    changes = {
        "state": state,
        "reason": end.reason,
        "what": end.what,
        "notes": notes,
        "attempts": attempts,
        "measured": end.measured,
        "violation": end.violation,
        "audit": audit,
        "run": result,
        "started_utc": attempt.started_utc,
        "seconds": round(time.monotonic() - attempt.started, 3),
    }
    return _record(study, proposal, proposal.config.portable(), changes)


def twin_record(twin: TrialRecord, proposal: Proposal) -> TrialRecord:
    """Return the record of a trial that takes the outcome of ``twin``, whose config is equal.

    Its seed, weights and costs are those of the twin.
    """
    notes = [*proposal.notes, f"same config as trial {twin.number}: not trained again"]
    changes = {
        "state": twin.state,
        "notes": notes,
        "measured": twin.measured,
        "same_as": twin.number,
        "run": twin.run,
    }
    return _record(twin.study, proposal, twin.config, changes)


def misfit_record(study: str, misfit: Misfit) -> TrialRecord:
    """Return the record of a trial whose settings exclude each other."""
    changes = {"state": "failed", "reason": "error", "what": misfit.what}
    return _record(study, misfit, misfit.config, changes)


def _record(
    study: str, proposal: Proposal | Misfit, config: dict[str, Any], changes: dict[str, Any]
) -> TrialRecord:
    now = now_utc()
    record = {
        "schema": "hpo.trial/1",
        "study": study,
        "number": proposal.number,
        "params": proposal.trial.params,
        "config": config,
        "config_sha256": config_sha256(config),
        "seed": config["seed"],
        "notes": list(proposal.notes),
        "started_utc": now,
        "ended_utc": now,
        "seconds": 0.0,
    }
    return TrialRecord.model_validate({**record, **changes})
