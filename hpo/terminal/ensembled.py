"""What `hpo ensemble` and `hpo evaluate --ensemble` found, in words."""

import math
from collections.abc import Mapping, Sequence

from hpo.ensemble.members import FOLDS_NOT_KEPT, NOT_KEPT, again
from hpo.ensemble.opening import TestedEnsemble
from hpo.layout import StudyFolder
from hpo.listing import find_trial
from hpo.ship.combined import Difference, EnsembleRecord, Scores
from hpo.words import arrow, describe_config, number

Rows = tuple[list[str], list[list[str]]]
_TOGETHER = {
    "rows": "",
    "groups": ", groups kept together",
    "time": ", each part one stretch of time",
}


def member_rows(record: EnsembleRecord, folder: StudyFolder) -> Rows:
    """Return headings and rows of the members; those of a trial's folds are one."""
    weights: dict[int, float] = {}
    values = {member.trial: member.value for member in record.members}
    for member in record.members:
        weights[member.trial] = weights.get(member.trial, 0.0) + member.weight
    rows = [
        [
            str(trial),
            f"{weight:.3f}",
            number(values[trial]),
            describe_config(find_trial(folder, trial).config),
        ]
        for trial, weight in sorted(weights.items(), key=lambda one: -one[1])
    ]
    return ["trial", "coefficient" if record.method == "stack" else "weight", "alone", ""], rows


def head_line(record: EnsembleRecord) -> str:
    """Return what was made of what."""
    n, used = len(record.considered), len({member.trial for member in record.members})
    members = f"{used} of {n} trials" if used < n else f"{n} trials"
    where = "rows out of fold" if record.scores.split == "out of fold" else "validation rows"
    rows = f"{record.scores.n_rows:,} {where}"
    metric = f"{record.metric} {arrow(record.direction)}"
    return f"{record.study}: ensemble of {members} ({record.method}), {metric} on {rows}"


def score_lines(record: EnsembleRecord) -> list[str]:
    """Return both scores, their difference, and what follows from it."""
    scores = record.scores
    how = f"both sides chosen on {(scores.parts or 1) - 1} of {scores.parts} parts of the rows, "
    how += f"scored on the other{_TOGETHER[scores.kept_together]}"
    if scores.repeats is not None and scores.repeats > 1:
        how += f"; the mean of {scores.repeats} ways to cut them"
    lines = [f"{how}:", *_sides(scores, record.metric)]
    if record.better:
        return [*lines, f"used: {record.why}"]
    kept = "kept all the same, as --keep asks" if record.used else "not used"
    return [*lines, f"{kept}: {record.why}"]


def _sides(scores: Scores, metric: str) -> list[str]:
    """Return a line for each measure: of ensemble and single best, and their difference."""
    rows = [[metric, *_cells(scores)]]
    if scores.log_loss is not None:
        rows.append(["log loss", *_cells(scores.log_loss)])
    rows.insert(0, ["", "ensemble", "single best", "difference"])
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    padded = [[cell.ljust(width) for cell, width in zip(r, widths, strict=True)] for r in rows]
    return ["  " + "  ".join(cells).rstrip() for cells in padded]


def _cells(found: Difference) -> list[str]:
    digits = _decimals(found.single)
    text = f"{found.difference:+.{digits}f}"
    if found.ci95 is not None:
        text += f" [{found.ci95[0]:+.{digits}f}, {found.ci95[1]:+.{digits}f}]"
    return [number(found.ensemble), number(found.single), text]


def tested_lines(done: TestedEnsemble) -> list[str]:
    """Return what an ensemble and the single best came to on the test split."""
    trials = len(done.trials)
    metric = f"{done.metric} {arrow(done.direction)} on {done.scores.n_rows:,} test rows"
    times = "once" if done.opened == 1 else f"{done.opened} times by now"
    beside = f"ensemble of {trials} trials ({done.method}) beside trial {done.single}"
    lines = [
        f"{done.study}: {beside}, {metric}",
        *_sides(done.scores, done.metric),
        f"the test split was opened {times}",
    ]
    if not done.used:
        lines.append("the ensemble is not used: the validation rows did not speak for it")
    return lines


def left_out_lines(record: EnsembleRecord, folder: StudyFolder) -> list[str]:
    """Return which trials are left out and why, and how to get their weights back."""
    by_reason: dict[str, list[int]] = {}
    for one in record.left_out:
        by_reason.setdefault(one.why, []).append(one.trial)
    lines = [f"left out: {_trials(trials)}: {why}" for why, trials in by_reason.items()]
    if NOT_KEPT in by_reason:
        lines.append(f"  {again(folder, record.left_out)}")
    if FOLDS_NOT_KEPT in by_reason:
        lines.append("  a study that is run anew keeps the weights of every fold")
    return lines


def next_lines(record: EnsembleRecord, folder: StudyFolder, place: str) -> list[str]:
    """Return the next commands; ``place`` is ``--results`` where it is not the default."""
    if not record.used:
        return [f"next: hpo predict {folder.best_config} rows.csv     the single best predicts"]
    commands: Mapping[str, str] = {
        f"hpo predict {folder.combined} rows.csv": "predict with it",
        f"hpo evaluate {record.study} --ensemble --test{place}": "on rows never touched",
        f"hpo export {folder.combined} --format onnx": "make one file of it",
    }
    width = max(map(len, commands)) + 4
    lines = [f"      {command:<{width}}{why}" for command, why in commands.items()]
    return ["next: " + lines[0].lstrip(), *lines[1:]]


def _trials(numbers: Sequence[int]) -> str:
    word = "trial" if len(numbers) == 1 else "trials"
    return f"{word} {', '.join(map(str, numbers))}"


def _decimals(scale: float) -> int:
    """Return the digits after the point that a metric of this size is written with."""
    return 4 if not scale else min(max(3 - math.floor(math.log10(abs(scale))), 0), 12)
