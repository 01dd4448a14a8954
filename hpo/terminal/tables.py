"""The answers of the looking verbs as lines and tables; no torch, no Optuna."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from hpo.best import BestConfig, best_of
from hpo.listing import Side, StudyLine, flat, left_out
from hpo.records import TrialRecord
from hpo.words import (
    MARKS,
    arrow,
    counts,
    describe_config,
    duration,
    number,
    params_words,
    plain_value,
    short,
    sparkline,
    trial_words,
)

if TYPE_CHECKING:  # each verb loads what it shows; these are of one each
    from hpo.evaluations import Evaluation
    from hpo.import_optuna import Imported
    from hpo.order import About
    from hpo.retrain import Retrained
    from hpo.sections import VerifiedSection
    from lightning_modules.evaluation.findings import ClassScores, Findings

Rows = tuple[list[str], list[list[str]]]
MOST_CLASSES = 20
"""Rows of the table of classes."""
MOST_TRIALS = 20
"""Rows of the table of trials, where not all are asked for."""
LEAST_ABOUT = 10
"""What is shown of tags and note in the narrowest terminal, in cells."""
LONGEST_NOTE = 40
"""How much of a note stands in a table, in characters."""


def best_lines(best: BestConfig) -> list[str]:
    """Return a best config for reading: what it scored, what it is, where its weights are."""
    metric, study = best.metric, best.study
    sign = arrow(metric["direction"])
    lines = [
        best.summary,
        f"  {metric['name']} {sign} {number(metric['value'])} on validation "
        f"at epoch {metric['epoch']:g}, trial {study['trial']} of {study['name']}",
    ]
    test = best.test
    if test["value"] is not None:
        lines.append(f"  test {number(test['value'])} (opened {test['opened']} times)")
    if best.verified is not None:
        lines.append(f"  {_verified_words(best.verified)}")
    if study.get("rank_note"):
        lines.append(f"  {study['rank_note']}")
    lines.append("  searched:")
    flat = _searched(best)
    lines += [f"    {name:<32} {value}" for name, value in flat]
    return lines


def _verified_words(stamp: "VerifiedSection") -> str:
    """Return the stamp of a verification in a line; one that failed says in what."""
    levels = ", ".join(map(str, stamp["levels"]))
    word = "level" if len(stamp["levels"]) == 1 else "levels"
    if stamp["outcome"] == "verified":
        return f"verified {stamp['utc']}, {word} {levels}"
    failed = {"differs": "verification FAILED", "incomplete": "verified in part"}
    return f"{failed[stamp['outcome']]} {stamp['utc']}, {word} {levels}: {stamp['what']}"


def _searched(best: BestConfig) -> list[tuple[str, str]]:
    found = []
    for name in best.searched:
        value: Any = best.config
        walked: list[str] = []
        for key in name.split("."):
            if isinstance(value, Mapping) and key in value:
                value = value[key]
                walked.append(key)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, list) and key == "length":
                value = len(value)
            elif isinstance(value, Mapping) and key not in value.values():
                value = _left_out(best, [*walked, key])
        if isinstance(value, Mapping):
            value = value.get("family", value.get("name", value.get("kind", "")))
        found.append((name, plain_value(value)))
    return found


def _left_out(best: BestConfig, path: Sequence[str]) -> Any:
    """Return a default that the record leaves out; one that switches something off is ``off``."""
    try:
        return left_out(best.config, ".".join(path)) or "off"
    except KeyError:
        return "off"


def study_rows(
    lines: Sequence[StudyLine], abouts: "Sequence[About]" = (), width: int | None = None
) -> Rows:
    """Return the table of `hpo list`; what people say of a study stands last, and gives way.

    Args:
        lines: of the studies.
        abouts: of the same studies.
        width: of the terminal; None is as wide as it takes.
    """
    headings = ["study", "✓", "✂", "✗", "metric", "best", "default", "cost", "created"]
    rows = []
    for line in lines:
        metric = f"{line.metric} {arrow(line.direction or '')}" if line.metric else "–"
        tally = [str(line.trials[state]) for state in ("complete", "pruned", "failed")]
        values = [number(line.best), number(line.default), duration(line.seconds)]
        rows.append([line.name, *tally, metric, *values, line.created_utc[:10]])
    said = [_about_words(about) for about in abouts]
    if any(said):
        if width is not None:
            columns = zip(headings, *rows, strict=True)
            taken = sum(max(map(cell_len, column)) + 2 for column in columns)
            said = [short(words, max(width - taken, LEAST_ABOUT)) for words in said]
        headings.append("about")
        rows = [[*row, words] for row, words in zip(rows, said, strict=True)]
    return headings, rows


def _about_words(about: "About") -> str:
    """Return what people say of a study in one line: archived, tags, how the note begins."""
    first = about.note.partition("\n")[0]
    words = ["archived" if about.archived else "", *about.tags, short(first, LONGEST_NOTE)]
    return " ".join(word for word in words if word)


def imported_lines(done: "Imported") -> list[str]:
    """Return what `hpo import` came to."""
    tally = ", ".join(f"{n:,} {state}" for state, n in counts(done.records).items() if n)
    goal = f"{done.metric} {arrow(done.direction)}"
    total = len(done.records)
    what = "1 parameter" if done.parameters == 1 else f"{done.parameters} parameters"
    lines = [f"{total:,} trials ({tally or 'none'}), {what}, {goal}"]
    best = best_of(done.records, done.direction)
    if best is not None:
        lines.append(f"best: trial {best.number}   {number(best.value)}")
    if done.unfinished:
        lines.append(f"{done.unfinished:,} had not ended, and are recorded as failed")
    return [*lines, str(done.folder.path)]


def trial_rows(records: Sequence[TrialRecord], metric: str) -> Rows:
    """Return a leaderboard."""
    headings = ["#", "trial", metric, "epochs", "parameters", "what"]
    rows = []
    for rank, record in enumerate(records, start=1):
        run = record.run
        epochs = f"{run.epochs_run:g}" if run else "–"
        size = f"{run.n_parameters:,}" if run else "–"
        what = describe_config(record.config)
        rows.append([str(rank), str(record.number), number(record.value), epochs, size, what])
    return headings, rows


def trial_table_lines(
    records: Sequence[TrialRecord], width: int, *, whole: bool = False
) -> list[str]:
    """Return trials as lines of at most ``width`` cells: what is told of each in a glance.

    Args:
        records: in their order.
        width: of the terminal.
        whole: whether all are shown, and not the first `MOST_TRIALS`.
    """
    shown = list(records) if whole else list(records)[:MOST_TRIALS]
    metric = next((name for r in records if (name := _metric_of(r))), "objective")
    rows = []
    for record in shown:
        run = record.run
        epochs = f"{run.best_epoch:g}/{run.epochs_run:g}" if run else "–"
        cells = [str(record.number), MARKS[record.state], number(record.value), epochs]
        rows.append([*cells, duration(record.seconds)])
    headings = ["trial", "", short(metric, 20), "epoch", "time"]
    lines = _aligned(headings, rows)
    room = max(width - max(map(cell_len, lines)) - 2, 8)
    wide = max(map(cell_len, lines))
    words = ["what", *(trial_words(record) for record in shown)]
    lines = [
        f"{line}{' ' * (wide - cell_len(line))}  {short(_printable(text), room)}"
        for line, text in zip(lines, words, strict=True)
    ]
    hidden = len(records) - len(shown)
    return [*lines, f"… and {hidden:,} more"] if hidden else lines


def _metric_of(record: TrialRecord) -> str:
    objective = record.config.get("objective")
    return str(objective.get("metric", "")) if isinstance(objective, Mapping) else ""


def trial_lines(record: TrialRecord, curve: Sequence[float]) -> list[str]:
    """Return one trial for reading."""
    first = f"trial {record.number} of {record.study}  {MARKS[record.state]} {record.state}"
    lines = [f"{first}  {number(record.value)}  {duration(record.seconds)}"]
    if record.state == "failed":
        lines.append(f"  {record.reason}: {record.what}")
    if curve:
        lines.append(f"  {sparkline(curve, 60)}  {len(curve)} validations")
    if record.run is not None:
        run = record.run
        lines.append(
            f"  best at epoch {run.best_epoch:g} of {run.epochs_run:g}, "
            f"stopped by {run.stopped_by}, {run.n_parameters:,} parameters"
        )
        if run.folds is not None:
            lines.append(f"  folds: {'  '.join(map(number, run.folds))}")
    lines += [f"  note: {note}" for note in record.notes]
    lines += [f"    {name:<32} {value}" for name, value in params_words(record.params)]
    return lines


def difference_rows(
    records: Sequence[TrialRecord], differing: Sequence[tuple[str, list[Any]]]
) -> Rows:
    """Return the table of `hpo show --diff`."""
    headings = ["setting", *(f"trial {record.number}" for record in records)]
    rows = [["value", *(number(record.value) for record in records)]]
    rows += [[path, *map(plain_value, values)] for path, values in differing]
    return headings, rows


def sides_rows(sides: Sequence[Side], differing: Sequence[tuple[str, list[Any]]]) -> Rows:
    """Return the table of `hpo best --diff`: the values, then only what differs."""
    metrics = {side.metric for side in sides}
    name = metrics.pop() if len(metrics) == 1 else "value"
    rows = [[name, *(number(side.value) for side in sides)]]
    known = [flat(side.config) for side in sides]
    rows += [
        [path, *(plain_value(one[path]) if path in one else "–" for one in known)]
        for path, _ in differing
    ]
    return ["setting", *(side.label for side in sides)], rows


def retrained_lines(done: "Retrained") -> list[str]:
    """Return what `hpo train` came to."""
    result, objective = done.result, done.config.objective
    text = f"{objective.metric} {result.value!r} at epoch {result.best_epoch:g}, "
    text += f"{duration(result.seconds)}"
    if done.recorded is None:
        return [text]
    if done.changed:
        what = "; ".join(done.changed)
        return [text, f"recorded {done.recorded!r}, on other data ({what}): not comparable"]
    same = done.recorded == result.value
    verdict = "equal, bit for bit" if same else f"differs by {result.value - done.recorded:.3g}"
    return [text, f"recorded {done.recorded!r}: {verdict}"]


def evaluation_lines(done: "Evaluation") -> list[str]:
    """Return what `hpo evaluate` came to: the objective, every metric, every class."""
    found = done.findings
    rows = "" if found.n_rows is None else f", {found.n_rows:,} rows"
    where = done.split if done.fold_of is None else f"the first of {done.fold_of} folds"
    first = f"trial {done.trial} on {where}: {done.metric} {number(done.value)}{rows}"
    names = [done.metric, *(name for name in found.metrics if name != done.metric)]
    metrics = [[_goal(done, n), number(found.metrics[n]), _interval(found, n)] for n in names]
    lines = [first, "", *_aligned(["metric", "value", "95% interval"], metrics)]
    if found.per_class is not None:
        lines += ["", *_class_lines(found.per_class, found.task)]
    if found.per_target is not None:
        lines += ["", *_target_lines(found, names)]
    if done.opened > 1:
        lines.append(f"the test split was opened {done.opened} times: its value is worth less")
    return lines


def _goal(done: "Evaluation", metric: str) -> str:
    """Return a metric with the direction of better values, where it is known."""
    from lightning_modules.task import METRICS

    known = {done.metric: done.direction}
    if metric in METRICS:
        known[metric] = METRICS[metric].direction
    return f"{metric} {arrow(known[metric])}" if metric in known else metric


def _interval(found: "Findings", metric: str) -> str:
    ends = found.ci95[metric]
    if ends is not None:
        return f"{number(ends[0])} to {number(ends[1])}"
    return found.null_because.get(f"metrics.{metric}", "–")


def _target_lines(found: "Findings", names: Sequence[str]) -> list[str]:
    """Return the table of several targets, or of the steps of a forecast."""
    each = found.per_target or []
    known = [name for name in names if each and name in each[0].metrics]
    rows = [[one.name, *(number(one.metrics[name]) for name in known)] for one in each]
    shown = rows[:MOST_CLASSES]
    word = "step" if found.task == "forecasting" else "target"
    lines = _aligned([word, *known], shown)
    hidden = len(rows) - len(shown)
    return [*lines, f"… and {hidden} {word}s more"] if hidden else lines


def _class_lines(scores: "Sequence[ClassScores]", task: str | None) -> list[str]:
    """Return the table of the classes or labels; of many, those with the lowest F1."""
    word = "label" if task == "multilabel" else "class"
    shown = list(scores)
    if len(shown) > MOST_CLASSES:
        shown = sorted(shown, key=lambda one: 2.0 if one.f1 is None else one.f1)[:MOST_CLASSES]
    rows = [
        [one.name, number(one.precision), number(one.recall), number(one.f1), f"{one.rows:,}"]
        for one in shown
    ]
    lines = _aligned([word, "precision", "recall", "f1", "rows"], rows)
    hidden = len(scores) - len(shown)
    words = {"label": "labels"}.get(word, "classes")
    return [*lines, f"… and {hidden} {words} with a higher f1"] if hidden else lines


def _aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines in columns: the first to the left, without what moves a terminal's cursor."""
    names = [_printable(row[0]) for row in rows]
    cut = [[short(name, 32), *row[1:]] for name, row in zip(names, rows, strict=True)]
    table = [headings, *cut]
    widths = [max(cell_len(row[i]) for row in table) for i in range(len(headings))]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _printable(text: str) -> str:
    """Return text without what moves a terminal's cursor."""
    return "".join(c if c.isprintable() else "�" for c in text)


def family_rows() -> Rows:
    """Return the table of `hpo families`."""
    from lightning_modules.families import FAMILIES

    headings = ["family", "takes", "settings", "what"]
    rows = []
    for name, family in FAMILIES.items():
        takes = "its own data" if family.whole else ", ".join(family.takes)
        settings = ", ".join(key for key in family.config.model_fields if key != "family")
        what = (family.config.__doc__ or "").strip().splitlines()[0]
        rows.append([name, takes, settings, what])
    return headings, rows


def family_lines(width: int) -> list[str]:
    """Return what `hpo families` says: each family, and its settings below."""
    _, rows = family_rows()
    names, takes = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = []
    for name, inputs, settings, what in rows:
        first = f"{name:{names}}  {inputs:{takes}}  {what}"
        lines += wrap(first, width, subsequent_indent=" " * (names + takes + 4))
        indent = " " * (names + 2)
        lines += wrap(settings, width, initial_indent=indent, subsequent_indent=indent)
    return lines


def space_rows(shipped: Mapping[str, Path]) -> Rows:
    """Return the table of `hpo spaces`: name, dimensions, and the first line of each file."""
    from hpo.spec import load_study

    headings = ["study", "dimensions", "what"]
    rows = []
    for name, path in shipped.items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        dimensions = len(load_study(path).space.parameters())
        rows.append([name, str(dimensions), first.lstrip("# ").partition("   ")[0]])
    return headings, rows
