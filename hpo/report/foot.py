"""The last parts: what it costs, where the model is wrong, failures, time, provenance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hpo.evaluations import Evaluation
from hpo.figures.evaluation import draw
from hpo.insight.cost import Stairs, spent_words
from hpo.insight.material import described
from hpo.insight.study import Insight
from hpo.records import TrialRecord
from hpo.report.charts import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    Chart,
    chart,
    label,
    line,
    log_axis,
    points,
)
from hpo.report.parts import Part
from hpo.report.tables import Table, csv, placeless, table
from hpo.words import arrow, counts, duration, number

COSTS = {"n_parameters": "parameters", "latency_ms": "milliseconds a row"}
MOST_CLASSES = 30
MANY = 20


def cost_part(insight: Insight) -> Part:
    """What does accuracy cost?"""
    found, material = insight.cost, insight.material
    return Part(
        key="cost",
        short="Cost",
        question=f"What does {material.metric} cost?",
        answer=found.sentence,
        charts=tuple(_stairs_chart(one, insight) for one in found.stairs if len(one.points) > 1),
        how="Complete trials; the steps join those that no other trial beats at the same cost or "
        "less. Latency is that of one row on one thread, as it was measured then.",
        csv=csv("cost.csv", ("trial", material.metric, "n_parameters", "latency_ms", "seconds"), [
            (r.number, r.value, r.run.n_parameters, r.run.latency_ms, r.seconds)
            for r in material.records if r.has_rank and r.run is not None
        ]),
    )  # fmt: skip


def _stairs_chart(stairs: Stairs, insight: Insight) -> Chart:
    material = insight.material
    what = {r.number: described(r) for r in material.records if r.has_rank}
    hover = [
        label(f"trial {t}: {number(v)} at {c:,.6g}, {what.get(t, '')}") for c, v, t in stairs.points
    ]
    costs = [c for c, _, _ in stairs.points]
    front = [*stairs.front, (max(costs), stairs.front[-1][1], stairs.front[-1][2])]
    data = [
        points(costs, [p[1] for p in stairs.points], "complete trial", colour=FAINT, hover=hover),
        line([c for c, _, _ in front], [v for _, v, _ in front], "the best at that cost",
             colour=BLUE, shape="hv"),
    ]  # fmt: skip
    best = material.best
    mine = [p for p in stairs.points if best is not None and p[2] == best.number]
    if mine:
        data.append(
            points([mine[0][0]], [mine[0][1]], "the best", colour=ORANGE, symbol="star", size=14)
        )
    values = sorted(v for _, v, _ in stairs.points)
    spread = (values[0], values[-1])
    if stairs.limit is not None:
        data.append(
            line([stairs.limit] * 2, spread, "constraint", colour=INK, dash="dot", width=1.5)
        )
        costs = [*costs, stairs.limit]
    axis: dict[str, Any] = {}
    if len(values) >= MANY:  # without the worst tenth, which would flatten the others
        tenth = len(values) // 10
        low, high = (values[tenth], spread[1]) if material.maximize else (spread[0], values[-tenth])
        room = 0.08 * (high - low) or 1.0
        axis["range"] = [low - room, high + room]
    title = COSTS[stairs.cost]
    about = f"{material.metric} against {title}"
    return chart(
        data, about, x=title, y=f"{label(material.metric)} {arrow(material.direction)}",
        xaxis=log_axis(costs), yaxis=axis,
    )  # fmt: skip


def wrong_part(insight: Insight) -> Part:
    """Where is the model wrong?"""
    found, name = insight.evaluation, insight.material.name
    question = "Where is the model wrong?"
    if found is None:
        other = insight.evaluated_other
        last = "" if other is None else f"; the last evaluation is of trial {other}"
        return Part(
            key="wrong", short="Errors", question=question,
            answer=f"Not known: the best config has not been evaluated{last}.",
            commands=() if insight.material.imported else (
                (f"hpo evaluate {name}", "confusion, ROC, reliability or residuals on validation"),
                (f"hpo evaluate {name} --test", "the same on the test split; that is counted"),
            ),
        )  # fmt: skip
    findings = found.findings
    rows_words = "" if findings.n_rows is None else f" of {findings.n_rows:,} rows"
    answer = f"{found.metric} {number(found.value)} on the {found.split} split{rows_words}"
    span = findings.ci95.get(found.metric)
    answer += f" [{number(span[0])}, {number(span[1])}]" if span else ""
    answer += (
        f"; opened {found.opened} time{'s' if found.opened != 1 else ''}." if found.opened else "."
    )
    return Part(
        key="wrong", short="Errors", question=question, answer=answer, tables=_scores(found),
        pictures=tuple(draw(found).values()),
        how=f"The weights of trial {found.trial} on the {found.split} split; intervals from "
        f"{findings.resamples:,} resamples of its rows.",
        csv=csv("metrics.csv", ("metric", "value", "low", "high"), [
            (metric, value, *(findings.ci95.get(metric) or (None, None)))
            for metric, value in findings.metrics.items()
        ]),
    )  # fmt: skip


def _scores(found: Evaluation) -> tuple[Table, ...]:
    """Return all metrics with their intervals, and the classes."""
    findings = found.findings
    rows = []
    for metric, value in findings.metrics.items():
        span = findings.ci95.get(metric)
        told = f"{number(span[0])} to {number(span[1])}" if span else "–"
        rows.append([metric, number(value), told])
    all_metrics = table(
        ("metric", "value", "95 %"), rows, caption=f"All metrics, {found.split} split"
    )
    if not findings.per_class:
        return (all_metrics,)
    classes = [
        [one.name, number(one.precision), number(one.recall), number(one.f1), one.rows]
        for one in findings.per_class[:MOST_CLASSES]
    ]
    more = len(findings.per_class) - MOST_CLASSES
    caption = "Classes" + (f" (the first {MOST_CLASSES}, and {more} more)" if more > 0 else "")
    headings = ("class", "precision", "recall", "F1", "rows")
    return all_metrics, table(headings, classes, caption=caption)


def failures_part(insight: Insight) -> Part:
    """What failed, what did it take, and where does it come from?"""
    found, material = insight.failures, insight.material
    by_number = {record.number: record for record in material.records}
    rows = []
    for reason, numbers in found.by_reason.items():
        first = by_number[numbers[0]]
        shown = ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
        rows.append([reason, len(numbers), shown, placeless(first.what[:200])])
    tally = counts(material.records)
    answer = (
        f"{tally['complete']} complete, {tally['pruned']} pruned, {tally['failed']} failed; "
        f"{spent_words(material.records)}. {found.sentence}"
    )
    tables = [table(("reason", "trials", "which", "the first says"), rows)] if rows else []
    timeline = _timeline(material.records)
    return Part(
        key="cost-time",
        short="Failures, time",
        question="What failed, and what did it take?",
        answer=answer,
        charts=(timeline,) if timeline else (),
        tables=tuple(tables),
        how="Every trial from its start to its end, in UTC to the second. Failures are recorded "
        "with their reason; the sampler learns from them, and they have no value.",
        csv=csv("failures.csv", ("trial", "reason", "what"), [
            (r.number, r.reason, placeless(r.what)) for r in material.records if r.state == "failed"
        ]),
    )  # fmt: skip


def _timeline(records: Sequence[TrialRecord]) -> Chart | None:
    if len(records) < 2:
        return None
    start = min(_moment(record.started_utc) for record in records)
    data = []
    for state, colour in (("complete", BLUE), ("pruned", FAINT), ("failed", ORANGE)):
        x: list[Any] = []
        y: list[Any] = []
        for record in records:
            if record.state == state:
                begun = (_moment(record.started_utc) - start) / 60
                x += [begun, begun + max(record.seconds, 0.3) / 60, None]
                y += [record.number, record.number, None]
        if x:
            data.append(line(x, y, state, colour=colour, width=4))
    about = "When each trial ran."
    return chart(data, about, x="minutes since the first trial", y="trial", height=320)


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def provenance_part(insight: Insight) -> Part:
    """Where does it come from?"""
    material, search = insight.material, insight.material.search
    sampler, pruner = (_named(search.get(key)) for key in ("sampler", "pruner"))
    seed = search.get("seed", 0)
    rows: list[list[Any]] = [["study", material.name], *_stamp(insight)]
    rows += [["sampler", sampler], ["pruner", pruner], ["seed", seed], *_surroundings(insight)]
    seconds = sum(record.seconds for record in material.records)
    again = f"hpo run results/{material.name}/study.yaml"
    return Part(
        key="provenance",
        short="Provenance",
        question="Where does it come from?",
        answer=f"{len(material.records)} trials by {sampler} and {pruner}, seed {seed}, "
        f"{duration(seconds)} of training.",
        tables=(table(("", ""), rows, names=2),),
        commands=() if material.imported else ((again, "goes on, or does it again elsewhere"),),
        how="From study.yaml, fingerprint.json and best_config.json of the study's folder.",
        csv=csv("provenance.csv", ("what", "value"), rows),
    )


def _stamp(insight: Insight) -> list[list[Any]]:
    """Return what the study was made of."""
    stamp = insight.material.fingerprint
    if stamp is None:
        return []
    extra = stamp.model_extra or {}
    rows: list[list[Any]] = [["created", stamp.created_utc], ["uuid", stamp.uuid]]
    for key in ("space", "data", "split"):
        rows.append([f"{key}, SHA-256", extra.get(f"{key}_sha256")])
    rows += [[f"plugin {placeless(name)}", digest] for name, digest in stamp.plugins.items()]
    for change in stamp.changes:
        what = "; ".join(map(str, change.get("what", [])))
        rows.append([f"changed {change.get('utc', '')}", placeless(what)])
    return rows


def _surroundings(insight: Insight) -> list[list[Any]]:
    """Return where the best config was trained, and its hashes."""
    file = insight.material.file
    if not file:
        return []
    environment, checkpoint = file.get("environment") or {}, file.get("checkpoint") or {}
    rows: list[list[Any]] = [
        ["config, SHA-256", file.get("config_sha256")],
        ["weights, SHA-256", checkpoint.get("sha256")],
    ]
    rows += [[key, environment.get(key)] for key in ("python", "platform", "cpu", "device")]
    rows += sorted([name, version] for name, version in (environment.get("packages") or {}).items())
    git = environment.get("git")
    if git:
        rows.append(["git", f"{git.get('commit')}{' (changed)' if git.get('dirty') else ''}"])
    return rows


def _named(settings: Any) -> str:
    if isinstance(settings, dict):
        rest = ", ".join(f"{k} {v}" for k, v in settings.items() if k != "name")
        return f"{settings.get('name', '?')}" + (f" ({rest})" if rest else "")
    return str(settings) if settings else "the default one"
