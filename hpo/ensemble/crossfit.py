"""Choose on some rows, score on the others: an ensemble and the single best, treated alike."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from hpo.ensemble.arrangement import Arrangement, Part, Predictions, parts_of
from hpo.ensemble.methods import fit
from hpo.ensemble.objective import Objective, Weighted
from hpo.errors import StudyError
from hpo.ship.combined import Combination, Difference, Doubles, Floats, Method, Scores, combine
from lightning_modules.data.frames import Array
from lightning_modules.evaluation.intervals import resamples_for
from lightning_modules.seeds import derive

REPEATS = 5
"""How often rows are cut anew, where they are few: which parts they fall into is luck, too."""
FEW = 5_000
UNDEFINED = "most resamples of the rows leave the objective undefined"
Measure: TypeAlias = Callable[[Floats], Weighted]
"""From outputs to what measures them for any weights of the rows."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen without the rows of one part."""

    combination: Combination
    single: int
    """The place of the network that is best alone."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What both sides say of the same rows, and what was right."""

    ensemble: Floats
    single: Floats
    targets: Array
    arrangement: Arrangement


def choose_without(
    part: Part, method: Method, found: Predictions, objective: Objective, *, seed: int
) -> Choice:
    """Return the ensemble and the single best that the rows outside of a part choose.

    Args:
        part: of the rows; those that it holds out are not looked at.
        method: of the ensemble.
        found: what the candidates predict, best of the study first.
        objective: by which is chosen.
        seed: of what is drawn.
    """
    seen, truth = found.parts[:, part.chosen_by], found.targets[part.chosen_by]
    combination = fit(method, seen, truth, objective, seed=seed)
    return Choice(combination=combination, single=best_alone(seen, truth, objective))


def best_alone(parts: Floats, targets: Array, objective: Objective) -> int:
    """Return the place of the best by the objective; of equal ones the first, as a study ranks."""
    merits = [objective.merit(one, targets)[0] for one in parts]
    return int(max(range(len(parts)), key=merits.__getitem__))


def cross_fit(
    method: Method, found: Predictions, objective: Objective, *, study: str, seed: int
) -> tuple[list[Sides], int]:
    """Return what both sides say of every row, each chosen without that row's part.

    Args:
        method: of the ensemble.
        found: what the candidates predict.
        objective: by which is chosen.
        study: its name, for errors.
        seed: of what is drawn.

    Returns:
        Both sides, once for each time that the rows were cut; and into how many parts.

    Raises:
        StudyError: if there are too few rows.
    """
    rows = found.arrangement
    once = rows.kept_together == "time" or len(found.targets) > FEW
    sides, n_parts = [], 0
    for repeat in range(1 if once else REPEATS):
        own = derive(seed, "repeat", repeat)
        cut = parts_of(rows, found.targets, objective.kind, study=study, seed=own)
        sides.append(cross_fit_once(method, found, objective, cut=cut, seed=own))
        n_parts = len(cut)
    return sides, n_parts


def cross_fit_once(
    method: Method, found: Predictions, objective: Objective, *, cut: Sequence[Part], seed: int
) -> Sides:
    """Return what both sides say of every row, with rows cut into these parts."""
    ensemble, single = np.empty_like(found.parts[0]), np.empty_like(found.parts[0])
    for number, part in enumerate(cut):
        own = derive(seed, "part", number)
        chosen, rows = choose_without(part, method, found, objective, seed=own), part.held_out
        ensemble[rows] = combine(chosen.combination, list(found.parts[:, rows]))
        single[rows] = found.parts[chosen.single, rows]
    return Sides(
        ensemble=ensemble, single=single, targets=found.targets, arrangement=found.arrangement
    )


def judge(
    sides: Sequence[Sides], objective: Objective, *, parts: int | None, split: str, seed: int
) -> Scores:
    """Return the scores of both sides, and how sure their difference is.

    Args:
        sides: what they say of the same rows, once for each time that these were cut.
        objective: by which they are judged.
        parts: in which rows were held out; None if nothing was chosen on them.
        split: where the rows are from.
        seed: of the resamples.

    Raises:
        StudyError: if the objective is undefined for one of them.
    """
    targets, rows = sides[0].targets, sides[0].arrangement
    values = [[objective.value(out, targets) for out in (s.ensemble, s.single)] for s in sides]
    ensemble, single = (math.fsum(column) / len(sides) for column in zip(*values, strict=True))
    if not math.isfinite(ensemble - single):
        what = f"is undefined on the {split} rows: {ensemble} and {single}"
        raise StudyError(objective.metric, what, "judge the study by another metric")
    drawn = _resampled(sides, lambda out: objective.of_weights(out, targets, even=rows.even), seed)
    gains = drawn if objective.direction == "maximize" else -drawn
    return Scores.model_validate(
        {
            "split": split,
            "n_rows": len(targets),
            "parts": parts,
            "repeats": None if parts is None else len(sides),
            "kept_together": rows.kept_together,
            "ensemble": ensemble,
            "single": single,
            "difference": ensemble - single,
            "ci95": _ends(drawn),
            "log_loss": _log_loss(sides, objective, seed) if objective.has_log_loss else None,
            "ahead": float(((gains > 0) + 0.5 * (gains == 0)).mean()),
            "resamples": len(drawn),
        }
    )


def _log_loss(sides: Sequence[Sides], objective: Objective, seed: int) -> Difference:
    """Return the log loss of both sides."""
    targets = sides[0].targets

    def measure(outputs: Floats) -> Weighted:
        losses = objective.log_losses(outputs, targets)
        return lambda weights: float(weights @ losses / weights.sum())

    once = np.ones(len(targets))
    ours, theirs = (
        math.fsum(measure(out)(once) for out in each) / len(sides)
        for each in ([s.ensemble for s in sides], [s.single for s in sides])
    )
    ends = _ends(_resampled(sides, measure, seed))
    return Difference(ensemble=ours, single=theirs, difference=ours - theirs, ci95=ends)


def _resampled(sides: Sequence[Sides], measure: Measure, seed: int) -> Doubles:
    """Return ensemble minus single best on resamples of the rows, NaN where it is undefined.

    Each resample takes the sides of one way to cut the rows, so that this luck is in the spread.
    """
    first = sides[0]
    wide = first.ensemble.shape[1] if first.ensemble.ndim == 2 else 1
    pairs = [(measure(one.ensemble), measure(one.single)) for one in sides]
    draw, generator = first.arrangement.draw(), np.random.default_rng(derive(seed, "resamples"))
    found = []
    for number in range(resamples_for(len(first.targets), wide)):
        weights = draw(generator)
        ours, theirs = pairs[number % len(pairs)]
        found.append(ours(weights) - theirs(weights))
    return np.array(found)


def _ends(drawn: Doubles) -> list[float] | None:
    """Return the ends of an interval; None if most resamples leave the difference undefined."""
    known = drawn[np.isfinite(drawn)]
    if len(known) <= len(drawn) / 2:
        return None
    ends: list[float] = np.quantile(known, [0.025, 0.975]).tolist()
    return ends


def null_because(scores: Scores) -> dict[str, str]:
    """Return why scores have no interval, by its place in a record; empty if they have one."""
    return {} if scores.ci95 is not None else {"scores.ci95": UNDEFINED}


def verdict(scores: Scores, objective: Objective) -> tuple[bool, str]:
    """Return whether an ensemble is better than the single best, and by which rule.

    It is where the interval of the objective says so. Where that holds 0, the objective cannot tell
    them apart; then the log loss decides, if its interval can: it is a proper score, and sees what
    a count of right rows does not (Gneiting and Raftery, 2007).
    """
    sign = 1 if objective.direction == "maximize" else -1
    side = _side(scores, sign)
    if side > 0:
        return True, f"its {objective.metric} is better by more than the luck of the rows"
    if side < 0:
        return False, f"its {objective.metric} is worse than that of the single best"
    told = f"by {objective.metric} the rows cannot tell it from the single best"
    if scores.log_loss is None:
        return False, told
    if _side(scores.log_loss, -1) > 0:
        return True, f"{told}, and its log loss is better by more than their luck"
    return False, f"{told}, and its log loss is not better by more than their luck"


def _side(found: Difference, sign: int) -> int:
    """Return 1 if an interval says better, -1 if it says worse, 0 if it cannot tell."""
    if found.ci95 is None:
        return 0
    low, high = sorted(sign * end for end in found.ci95)
    return int(low > 0) - int(high < 0)
