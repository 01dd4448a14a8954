"""The first parts: what to use, what tuning gained, which others are as good, winner or luck."""

from collections.abc import Mapping
from typing import Any

from hpo.insight.gain import Gain
from hpo.insight.material import Material, described
from hpo.insight.noise import span_of
from hpo.insight.study import Insight
from hpo.insight.top import Contender, seeded_words
from hpo.records import TrialRecord
from hpo.report import panels
from hpo.report.charts import (
    BLUE,
    FAINT,
    ORANGE,
    Chart,
    chart,
    label,
    level,
    line,
    points,
)
from hpo.report.parts import Part
from hpo.report.tables import Cell, csv, table
from hpo.words import arrow, duration, number, plain_value

TOP = (
    "rank", "trial", "low", "high", "within_noise", "n_parameters", "latency_ms", "seeds",
)  # fmt: skip
"""The columns of the best trials as CSV; the metric stands after the second."""


def use_part(insight: Insight) -> Part:
    """What should I use, and how sure are we?"""
    material = insight.material
    best, name = material.best, material.name
    said = insight.conclusion.best
    question = "What should I use, and how sure are we?"
    if best is None or best.run is None:
        status = ((f"hpo status {name}", "how far it is"),)
        return Part(key="use", short="Use", question=question, answer=said, commands=status)
    settings = settings_of(best.config)
    searched = [path for path, _ in settings if was_searched(path, set(best.params))]
    own = [[Cell(text=p, kind="searched"), plain(v)] for p, v in settings if p in searched]
    rest = [[p, plain(v)] for p, v in settings if p not in searched]
    rows = [
        (p, repr(v) if isinstance(v, float) else plain(v), "yes" if p in searched else "no")
        for p, v in settings
    ]
    return Part(
        key="use",
        short="Use",
        question=question,
        answer=said,
        tables=(
            table(("", ""), own, caption="What was searched"),
            table(("", ""), _facts(insight, best), caption="What it came to"),
        ),
        beside=True,
        folded=(table(("", ""), rest, caption="All other settings"),),
        commands=_commands(material),
        how="The best complete trial by its best validation; ties go to the smaller network. "
        "The interval is Wilson's (1927) for a share of the validation rows, or Student's over "
        "the folds; it does not hold the noise of the seed.",
        csv=csv("best_config.csv", ("setting", "value", "searched"), rows),
    )


def _commands(material: Material) -> tuple[tuple[str, str], ...]:
    name = material.name
    if material.imported:
        return ((f"hpo trials {name} --top 5", "the best ones as a table"),)
    return (
        (f"hpo best {name} --as yaml", "the config as a file"),
        (f"hpo train results/{name}/best_config.json -o runs/{name}", "train it again"),
        (f"hpo verify results/{name}/best_config.json", "prove it"),
    )


def _facts(insight: Insight, best: TrialRecord) -> list[list[Any]]:
    material, run = insight.material, best.run
    if run is None:
        return []
    metric = f"{material.metric} {arrow(material.direction)}"
    facts: list[list[Any]] = [[f"{metric}, validation", number(run.value)]]
    span = span_of(best, material.metric)
    if span is not None:
        basis = "folds" if run.folds is not None else f"{run.n_validated:,} rows"
        facts.append([f"95 % by its {basis}", f"{number(span.low)} to {number(span.high)}"])
    seeded = seeded_words(material.seeds, best.number) if material.seeds else None
    facts.append(["on fresh seeds", seeded or "not measured yet"])
    test = material.file.get("test") or {}
    shown = number(test["value"]) if test.get("opened") else "never opened"
    facts.append(["test split", shown])
    latency = "–" if run.latency_ms is None else f"{number(run.latency_ms)} ms"
    facts += [
        ["parameters", f"{run.n_parameters:,}"],
        ["one row takes", latency],
        ["best epoch", f"{run.best_epoch:g} of {run.epochs_run:g}"],
        ["training took", duration(run.seconds)],
    ]
    for constraint, limit in insight.limits.items():
        value = best.measured.get(constraint)
        shown = "–" if value is None else f"{value:,.6g}"
        facts.append([f"{constraint}, at most {limit:,.6g}", shown])
    return facts


def gain_part(insight: Insight) -> Part:
    """Was tuning worth it, and should the search go on?"""
    found, material = insight.gain, insight.material
    answer = found.sentence
    if found.gained is not None and found.gained != 0:
        answer += f" {insight.conclusion.gained}"
    notes: tuple[str, ...] = ()
    if found.second_half is not None and len(material.records) >= 8:
        more = f"{found.second_half:.3g}" if found.second_half else "nothing"
        notes = (
            f"The second half of the epochs gained {more} over the first: what doubling the "
            "budget may bring is of that order, and less.",
        )
    ends = [
        (record.number, record.state, record.epochs_spent, record.value)
        for record in sorted(material.records, key=lambda r: (r.ended_utc, r.number))
    ]
    return Part(
        key="gain",
        short="Gain",
        question="Was tuning worth it, and should the search go on?",
        answer=answer,
        charts=(_gain_chart(found, insight),) if found.steps else (),
        notes=notes,
        how="The best value so far of complete trials, in the order in which they ended, against "
        "the epochs that all trials had spent, pruned and failed ones included. The gain's "
        "interval: over paired seeds where they exist; else over folds, corrected for shared rows "
        "(Nadeau & Bengio, 2003); else Newcombe's (1998) for two shares of rows.",
        csv=csv("trials.csv", ("trial", "state", "epochs", material.metric), ends),
    )


def _gain_chart(found: Gain, insight: Insight) -> Chart:
    material = insight.material
    describe = {r.number: described(r) for r in material.records if r.has_rank}
    xs = [step.epochs for step in found.steps]
    ys = [step.value for step in found.steps]
    hover = [
        label(f"trial {number_}: {number(value)}, {describe.get(number_, '')}")
        for _, value, number_ in found.ends
    ]
    data = [
        points(
            [end[0] for end in found.ends], [end[1] for end in found.ends], "complete trial",
            colour=FAINT, hover=hover, size=7,
        ),
        line([*xs, found.epochs], [*ys, ys[-1]], "best so far", colour=BLUE, shape="hv", width=2.5),
        points(xs, ys, "a new best", colour=BLUE, size=9, hover=[
            label(f"trial {s.trial}: {number(s.value)} after {s.epochs:,.0f} epochs")
            for s in found.steps
        ]),
    ]  # fmt: skip
    if found.default is not None:
        data.append(level((0, found.epochs), found.default, "default config", colour=ORANGE))
    low = min([*ys, *([found.default] if found.default is not None else [])])
    high = max([*ys, *([found.default] if found.default is not None else [])])
    room = (high - low) or abs(high) * 0.02 or 1.0
    ends = [low - 0.6 * room, high + 0.25 * room]
    return chart(
        data,
        found.sentence,
        x="epochs spent by all trials",
        y=f"{label(material.metric)} {arrow(material.direction)}",
        yaxis={"range": ends}
        if material.maximize
        else {"range": [low - 0.25 * room, high + 0.6 * room]},
    )


def top_part(insight: Insight) -> Part:
    """Which others are as good?"""
    found, material = insight.top, insight.material
    spans = [c.span for c in found.contenders if c.span is not None]
    values = [c.record.value or 0.0 for c in found.contenders]
    low = min([*values, *(span.low for span in spans)], default=0.0)
    high = max([*values, *(span.high for span in spans)], default=1.0)
    best = material.best
    rows = [_contender(one, insight, (low, high)) for one in found.contenders]
    marked = [
        i
        for i, one in enumerate(found.contenders)
        if best is not None and one.record.number == best.number
    ]
    headings = (
        "#", "trial", f"{material.metric} {arrow(material.direction)}", "95 %", "alike?",
        "parameters", "ms a row", "epochs", "curve", "what",
    )  # fmt: skip
    return Part(
        key="top",
        short="Top ten",
        question="Which others are as good?",
        answer=found.sentence,
        tables=(table(headings, rows, names=2, marked=marked),) if rows else (),
        how="Complete trials by their value at the best validation. Alike: over folds, the "
        "corrected interval of the paired differences holds zero (Nadeau & Bengio, 2003); of a "
        "share of rows, the value lies in Wilson's interval (1927) of the best. Other metrics of "
        "one split leave no interval: seeds give one.",
        csv=csv(
            "top.csv",
            (*TOP[:2], material.metric, *TOP[2:]),
            [_plain(one) for one in found.contenders],
        ),
    )  # fmt: skip


def _plain(one: Contender) -> tuple[Any, ...]:
    run = one.record.run
    return (
        one.rank, one.record.number, one.record.value,
        one.span.low if one.span else None, one.span.high if one.span else None,
        "" if one.within_noise is None else str(one.within_noise).lower(),
        run.n_parameters if run else None, run.latency_ms if run else None,
        " ".join(map(repr, one.seeds)),
    )  # fmt: skip


def _contender(one: Contender, insight: Insight, ends: tuple[float, float]) -> list[Any]:
    record, run = one.record, one.record.run
    near = {True: "yes", False: "no", None: "?"}[one.within_noise]
    what = described(record)
    if "default" in record.notes:
        what = f"default, {what}"
    curve = panels.fill(insight.material.curves.get(record.number, {}))
    mark = panels.interval(record.value or 0.0, one.span, ends, near=bool(one.within_noise))
    seeded = (
        f"; {len(one.seeds)} seeds, mean {number(sum(one.seeds) / len(one.seeds))}"
        if one.seeds
        else ""
    )
    return [
        one.rank,
        record.number,
        number(record.value),
        Cell(picture=mark),
        near,
        f"{run.n_parameters:,}" if run else None,
        number(run.latency_ms) if run else None,
        f"{run.epochs_run:g}" if run else None,
        Cell(picture=panels.sparkline(curve)),
        Cell(text=what + seeded, kind="what"),
    ]


def settings_of(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return a config as dotted paths and values, lists as text."""
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found += settings_of(value, f"{path}.")
        elif isinstance(value, list | tuple):
            found.append((path, ", ".join(map(plain, value))))
        else:
            found.append((path, value))
    return found


def plain(value: Any) -> str:
    """Return a value as a study file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "{}" if value == {} else plain_value(value)


def was_searched(path: str, searched: set[str]) -> bool:
    """Return whether a setting of a config was decided by the search.

    Parameters name the branch (``optimizer.sgd.lr``), settings do not (``optimizer.lr``).
    """
    section, _, rest = path.partition(".")
    for name in searched:
        head, _, inner = name.partition(".")
        if head != section:
            continue
        if not inner:
            if rest in ("family", "name", "kind", "source"):
                return True
            continue
        below = inner.partition(".")[2]
        if any(one and f"{one}.".startswith(f"{rest}.") for one in (inner, below)):
            return True
    return False
