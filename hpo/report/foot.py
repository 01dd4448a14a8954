"""The last parts: what it costs, where the model is wrong, failures, time, provenance."""

import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Any

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
from hpo.report.tables import csv, table
from hpo.words import arrow, counts, duration, number

COSTS = {"n_parameters": "parameters", "latency_ms": "milliseconds a row"}
MOST_CLASSES = 30


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
    middle = statistics.median(values)
    axis: dict[str, Any] = {}
    lowest, highest = spread
    if material.maximize and middle - lowest > 3 * (highest - middle) > 0:
        axis["range"] = [middle - 2 * (highest - middle), highest + 0.3 * (highest - middle)]
    elif not material.maximize and highest - middle > 3 * (middle - lowest) > 0:
        axis["range"] = [lowest - 0.3 * (middle - lowest), middle + 2 * (middle - lowest)]
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
        return Part(
            key="wrong", short="Errors", question=question,
            answer="Not known: the best config has not been evaluated.",
            commands=(
                (f"hpo evaluate {name}", "confusion, ROC, reliability or residuals on validation"),
                (f"hpo evaluate {name} --test", "the same on the test split; that is counted"),
            ),
        )  # fmt: skip
    findings = found.findings
    rows: list[list[Any]] = []
    for metric, value in findings.metrics.items():
        span = findings.ci95.get(metric)
        rows.append(
            [metric, number(value), f"{number(span[0])} to {number(span[1])}" if span else "–"]
        )
    tables = [table(("metric", "value", "95 %"), rows, caption=f"All metrics, {found.split} split")]
    if findings.per_class:
        classes = [
            [one.name, number(one.precision), number(one.recall), number(one.f1), one.rows]
            for one in findings.per_class[:MOST_CLASSES]
        ]
        more = len(findings.per_class) - MOST_CLASSES
        caption = "Classes" + (f" (the first {MOST_CLASSES}, and {more} more)" if more > 0 else "")
        headings = ("class", "precision", "recall", "F1", "rows")
        tables.append(table(headings, classes, caption=caption))
    rows_words = "" if findings.n_rows is None else f" of {findings.n_rows:,} rows"
    answer = f"{found.metric} {number(found.value)} on the {found.split} split{rows_words}"
    span = findings.ci95.get(found.metric)
    answer += f" [{number(span[0])}, {number(span[1])}]" if span else ""
    answer += (
        f"; opened {found.opened} time{'s' if found.opened != 1 else ''}." if found.opened else "."
    )
    return Part(
        key="wrong", short="Errors", question=question, answer=answer, tables=tuple(tables),
        pictures=tuple(draw(found).values()),
        how=f"The weights of trial {found.trial} on the {found.split} split; intervals from "
        f"{findings.resamples:,} resamples of its rows.",
        csv=csv("metrics.csv", ("metric", "value", "low", "high"), [
            (metric, value, *(findings.ci95.get(metric) or (None, None)))
            for metric, value in findings.metrics.items()
        ]),
    )  # fmt: skip


def failures_part(insight: Insight) -> Part:
    """What failed, what did it take, and where does it come from?"""
    found, material = insight.failures, insight.material
    by_number = {record.number: record for record in material.records}
    rows = []
    for reason, numbers in found.by_reason.items():
        first = by_number[numbers[0]]
        shown = ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
        rows.append([reason, len(numbers), shown, first.what[:200]])
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
            (r.number, r.reason, r.what) for r in material.records if r.state == "failed"
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
    material = insight.material
    file, stamp = material.file, material.fingerprint
    sampler, pruner = (_named(material.search.get(key)) for key in ("sampler", "pruner"))
    rows: list[list[Any]] = [["study", material.name]]
    if stamp is not None:
        rows += [["created", stamp.created_utc], ["uuid", stamp.uuid]]
        extra = stamp.model_extra or {}
        for key in ("space_sha256", "data_sha256", "split_sha256"):
            rows.append([key.replace("_sha256", ", SHA-256"), extra.get(key) or "–"])
        for plugin, digest in stamp.plugins.items():
            rows.append(
                [f"plugin {plugin.replace(chr(92), '/').rsplit('/', 1)[-1]}", digest or "–"]
            )
        for change in stamp.changes:
            rows.append(
                [f"changed {change.get('utc', '')}", "; ".join(map(str, change.get("what", [])))]
            )
    rows += [["sampler", sampler], ["pruner", pruner], ["seed", material.search.get("seed", 0)]]
    if file:
        environment = file.get("environment") or {}
        weights = (file.get("checkpoint") or {}).get("sha256")
        rows.append(["config, SHA-256", file.get("config_sha256")])
        rows.append(["weights, SHA-256", weights])
        rows += [[key, environment.get(key)] for key in ("python", "platform", "cpu", "device")]
        rows += sorted(map(list, (environment.get("packages") or {}).items()))
        git = environment.get("git")
        if git:
            rows.append(["git", f"{git.get('commit')}{' (changed)' if git.get('dirty') else ''}"])
    seconds = sum(record.seconds for record in material.records)
    return Part(
        key="provenance",
        short="Provenance",
        question="Where does it come from?",
        answer=f"{len(material.records)} trials by {sampler} and {pruner}, seed "
        f"{material.search.get('seed', 0)}, {duration(seconds)} of training.",
        tables=(table(("", ""), rows, names=2),),
        commands=(
            (f"hpo run results/{material.name}/study.yaml", "goes on, or does it again elsewhere"),
        ),
        how="From study.yaml, fingerprint.json and best_config.json of the study's folder.",
        csv=csv("provenance.csv", ("what", "value"), rows),
    )


def _named(settings: Any) -> str:
    if isinstance(settings, dict):
        rest = ", ".join(f"{k} {v}" for k, v in settings.items() if k != "name")
        return f"{settings.get('name', '?')}" + (f" ({rest})" if rest else "")
    return str(settings) if settings else "the default one"
