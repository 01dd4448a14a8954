"""`hpo ensemble STUDY`: combine the best trials, hold them against the single best, record it."""

from collections.abc import Sequence
from pathlib import Path

from hpo.ensemble.arrangement import Predictions
from hpo.ensemble.asking import Ask
from hpo.ensemble.crossfit import best_alone, cross_fit, judge, null_because, verdict
from hpo.ensemble.members import Candidate, Chosen, choose_members
from hpo.ensemble.methods import fit
from hpo.ensemble.objective import Objective
from hpo.ensemble.predictions import predictions_of
from hpo.files import make_folder, write_json
from hpo.layout import StudyFolder
from hpo.local import only_data
from hpo.records import now_utc
from hpo.ship.combined import Combination, EnsembleRecord, Member
from lightning_modules.seeds import derive

ONE_MEMBER = "all the weight is on one trial, which is no ensemble"


def make_ensemble(folder: StudyFolder, ask: Ask, overrides: Sequence[str] = ()) -> EnsembleRecord:
    """Combine the best trials of a study, and record what that is worth.

    Leaves ``ensemble/ensemble.json``, and what the trials predict in ``ensemble/predictions``.

    Args:
        folder: of the study.
        ask: what is asked for.
        overrides: where the data are.

    Raises:
        StudyError: if no trial is complete, fewer than two can be members, or there are too few
            rows.
        UsageError: if what is asked for is wrong, modules are the user's own, or a checkpoint is
            not the one that was recorded.
        RefusedError: if data or split are not those that were recorded.
    """
    ask.refuse()
    only_data(overrides)
    chosen = choose_members(folder, ask.top, overrides)
    found = predictions_of(folder, chosen)
    objective = Objective.of(chosen.candidates[0].config)
    record = _record(folder, ask, chosen, found, objective)
    make_folder(folder.ensemble)
    write_json(folder.combined, record.model_dump(mode="json", by_alias=True))
    return record


def _record(
    folder: StudyFolder, ask: Ask, chosen: Chosen, found: Predictions, objective: Objective
) -> EnsembleRecord:
    seed = derive(int(chosen.best.seeds["study"]), "ensemble")
    sides, n_parts = cross_fit(ask.method, found, objective, study=folder.name, seed=seed)
    first = chosen.candidates[0].networks[0]
    split = "validation" if first.fold is None else "out of fold"
    scores = judge(sides, objective, parts=n_parts, split=split, seed=seed)
    combination = fit(ask.method, found.parts, found.targets, objective, seed=seed)
    n_weighted = sum(weight != 0 for weight in combination.weights)
    better, why = verdict(scores, objective) if n_weighted > 1 else (False, ONE_MEMBER)
    values = [objective.value(one, found.targets) for one in found.parts]
    best = best_alone(found.parts, found.targets, objective)
    return EnsembleRecord(
        schema="hpo.ensemble/1",
        study=folder.name,
        kind=objective.kind,
        metric=objective.metric,
        direction="minimize" if objective.direction == "minimize" else "maximize",
        method=ask.method,
        members=_members(folder, chosen.candidates, combination, values),
        intercepts=None if combination.intercepts is None else list(combination.intercepts),
        considered=[candidate.record.number for candidate in chosen.candidates],
        left_out=list(chosen.left_out),
        single=chosen.candidates[best].record.number,
        scores=scores,
        better=better,
        used=better or ask.keep,
        why=why,
        seed=seed,
        data_sha256=first.data.sha256,
        split_sha256=first.data.split_sha256,
        null_because=null_because(scores),
        created_utc=now_utc(),
    )


def _members(
    folder: StudyFolder,
    candidates: Sequence[Candidate],
    combination: Combination,
    values: Sequence[float],
) -> list[Member]:
    """Return the networks that have a say; those of a trial's folds share its weight."""
    stacked = combination.method == "stack"
    members = []
    for place, weight in enumerate(combination.weights):
        if weight == 0 and not stacked:
            continue
        candidate = candidates[place]
        for network in candidate.networks:
            below = network.folder.relative_to(folder.path)
            members.append(
                Member(
                    trial=network.trial,
                    fold=network.fold,
                    folder=(Path("..") / below).as_posix(),
                    checkpoint_sha256=network.sha256,
                    weight=weight / len(candidate.networks),
                    value=values[place],
                )
            )
    return members
