"""The parts about the search: training, pruning, what mattered, families."""

from collections.abc import Sequence
from typing import Any

from hpo.insight.audit import TOP, Audit, words_of
from hpo.insight.edges import Edge
from hpo.insight.importance import Importance
from hpo.insight.matrix import FEW, Matrix
from hpo.insight.scores import scores
from hpo.insight.study import Insight
from hpo.report import panels
from hpo.report.charts import (
    BLUE,
    DASHES,
    DIM,
    FAINT,
    ORANGE,
    SERIES,
    Chart,
    band,
    chart,
    label,
    line,
    points,
    rows_axis,
    rows_height,
    spread,
)
from hpo.report.parts import Part
from hpo.report.tables import Cell, Table, csv, table
from hpo.words import arrow, number

MOST_BARS = 30
"""Parameters in the figure; the table behind the link has all."""
MOST_PANELS = 24
AUDIT = ("trial", "validation", "then", "final", "rank", "wrong")
IMPORTANCE = ("parameter", "share", "low", "high", "null", "trials", "stands_out")
FAMILIES = ("family", "optimizer", "best", "median", "complete", "tried", "trial")


def training_part(insight: Insight) -> Part:
    """Did training go well?"""
    found, material = insight.training, insight.material
    charts = (_objective_chart(insight), _loss_chart(insight)) if found.paths else ()
    rows = [
        (path.trial, epoch, objective, train, val)
        for path in found.paths
        for epoch, objective, train, val in zip(
            path.epochs, path.objective, path.train_loss, path.val_loss, strict=True
        )
    ]
    return Part(
        key="training",
        short="Training",
        question="Did training go well?",
        answer=found.sentence,
        charts=tuple(one for one in charts if one is not None),
        how="The objective at every validation of the five best trials; the band holds 80 of 100 "
        "of all trials that got so far (10th to 90th percentile), the dotted line is the median. "
        "A diamond marks the epoch whose weights were kept.",
        csv=csv("curves.csv", ("trial", "epoch", material.metric, "train_loss", "val_loss"), rows),
    )


def _objective_chart(insight: Insight) -> Chart:
    found, material = insight.training, insight.material
    data = []
    if found.band is not None:
        area = found.band
        data.append(band(area.epochs, area.low, area.high, "80 of 100 trials"))
        data.append(line(area.epochs, area.middle, "median", colour=DIM, dash="dot", width=1.5))
    for path, colour, dash in zip(found.paths, SERIES, DASHES, strict=False):
        hover = [
            f"trial {path.trial}, epoch {epoch:g}: {number(value)}"
            for epoch, value in zip(path.epochs, path.objective, strict=True)
        ]
        name = f"trial {path.trial}"
        data.append(line(path.epochs, path.objective, name, colour=colour, dash=dash, hover=hover))
        kept = [v for e, v in zip(path.epochs, path.objective, strict=True) if e == path.best_epoch]
        if kept:
            mark = points(
                [path.best_epoch], kept[:1], name, colour=colour, symbol="diamond", size=10
            )
            data.append({**mark, "showlegend": False, "hoverinfo": "skip"})
    return chart(
        data,
        found.sentence,
        x="epoch",
        y=f"{label(material.metric)} {arrow(material.direction)}",
        yaxis=_close(insight),
    )


def _close(insight: Insight) -> dict[str, Any]:
    """Return a vertical axis on which the top trials can be told apart, once they have begun."""
    found = insight.training
    later = [v for path in found.paths for v in path.objective[len(path.objective) // 5 :]]
    later += list(found.band.middle[len(found.band.middle) // 5 :]) if found.band else []
    if not later:
        return {}
    low, high = min(later), max(later)
    room = (high - low) or abs(high) * 0.05 or 1.0
    return {"range": [low - 0.15 * room, high + 0.1 * room]}


def _loss_chart(insight: Insight) -> Chart | None:
    data = []
    for path, colour in zip(insight.training.paths, SERIES, strict=False):
        for values, name, dash in (
            (path.train_loss, "train", "dash"),
            (path.val_loss, "validation", "solid"),
        ):
            if any(value is not None for value in values):
                full = f"trial {path.trial}, {name}"
                data.append(
                    line(path.epochs, list(values), full, colour=colour, dash=dash, width=1.5)
                )
    if not data:
        return None
    known = [v for trace in data for v in trace["y"] if v is not None and v > 0]
    scale = {"type": "log"} if known and max(known) > 20 * min(known) else {}
    about = "Loss on training rows (dashed) and on validation rows (solid)."
    return chart(data, about, x="epoch", y="loss ↓", yaxis=scale)


def audit_part(insight: Insight) -> Part:
    """Did pruning throw away good trials?"""
    found, material = insight.audit, insight.material
    chart_ = _audit_chart(found, material.metric) if len(found.pairs) >= 3 else None
    notes = [f"{words_of(one)}." for one in found.audited if one.wrong][:5]
    if found.correlation is not None:
        text = f"Rank correlation of the value at validation {found.at} with the final one: "
        text += f"{found.correlation:.2f}"
        if found.correlation_span is not None:
            text += f" [{found.correlation_span.low:.2f}, {found.correlation_span.high:.2f}]"
        notes.insert(0, f"{text}, over {len(found.pairs)} complete trials.")
    if found.regret is not None:
        worse = f"{found.regret:.3g} worse" if found.regret else "the same"
        notes.append(f"Without the audited trials the best value would be {worse}.")
    return Part(
        key="audit",
        short="Pruning",
        question="Did pruning throw away good trials?",
        answer=found.sentence,
        charts=(chart_,) if chart_ else (),
        notes=tuple(notes),
        how=_audit_how(),
        csv=csv("audit.csv", AUDIT, [
            (a.trial, a.validation, a.then, a.final, a.rank, str(a.wrong).lower())
            for a in found.audited
        ]),
    )  # fmt: skip


def _audit_how() -> str:
    return (
        "search.audit lets a random share of the trials that the pruner would stop run to their "
        f"end. One that ends among the best {TOP:.0%} of the complete ones was condemned wrongly. "
        "The interval is Clopper and Pearson's (1934). The correlation is Spearman's, of complete "
        "trials only: of those that were stopped the end is not known. Epochs saved: those that "
        "pruned trials did not run, of all that whole trials would have run."
    )


def pooled_part(audit: Audit) -> Part:
    """The audits of several studies as one."""
    return Part(
        key="pooled",
        short="Pruning, pooled",
        question=f"Did pruning throw away good trials, over all {audit.studies} studies?",
        answer=audit.sentence,
        how=_audit_how(),
        csv=csv("audit-pooled.csv", ("study", *AUDIT), [
            (a.study, a.trial, a.validation, a.then, a.final, a.rank, str(a.wrong).lower())
            for a in audit.audited
        ]),
    )  # fmt: skip


def _audit_chart(found: Audit, metric: str) -> Chart:
    audited = {one.trial: one for one in found.audited}
    groups: dict[str, list[tuple[int, float, float]]] = {"complete": [], "audited": [], "wrong": []}
    for trial, then, final in found.pairs:
        one = audited.get(trial)
        groups["complete" if one is None else ("wrong" if one.wrong else "audited")].append(
            (trial, then, final)
        )
    names = {
        "complete": ("complete, never condemned", FAINT, "circle"),
        "audited": ("condemned, rightly", BLUE, "square"),
        "wrong": ("condemned, wrongly", ORANGE, "diamond"),
    }
    data = []
    for group, (name, colour, symbol) in names.items():
        if groups[group]:
            hover = [f"trial {t}: {number(a)}, then {number(b)}" for t, a, b in groups[group]]
            data.append(
                points([a for _, a, _ in groups[group]], [b for _, _, b in groups[group]], name,
                       colour=colour, symbol=symbol, hover=hover)
            )  # fmt: skip
    return chart(
        data, found.sentence, x=f"best {label(metric)} until validation {found.at}",
        y=f"final {label(metric)}",
    )  # fmt: skip


def importance_part(insight: Insight) -> Part:
    """Which choices matter, and where next?"""
    found = insight.importance
    known = [one for one in found.found if one.share is not None]
    clear = [edge for edge in insight.edges if edge.strong]
    edge_answer = clear[0].sentence if clear else "No range clearly ends where the best trials lie."
    explained = "" if found.explained is None else (
        f"All parameters together explain {found.explained:.0%} of the order of the trials, each "
        "taken by itself; the rest is chance, and how they work together."
    )  # fmt: skip
    return Part(
        key="importance",
        short="What matters",
        question="Which choices matter, and where to look next?",
        answer=f"{found.sentence} {edge_answer}",
        charts=(_importance_chart(known[:MOST_BARS]),) if known else (),
        panels=tuple(_panels(insight)[:MOST_PANELS]),
        tables=_edge_table(insight.edges),
        notes=(explained,) if explained else (),
        how=_importance_how(insight),
        csv=csv("importance.csv", IMPORTANCE, [
            (o.name, o.share, o.low, o.high, o.null, o.n, str(o.stands_out).lower())
            for o in found.found
        ]),
    )  # fmt: skip


def _panels(insight: Insight) -> list[tuple[str, str, str]]:
    material = insight.material
    told = scores(material.records, material.curves, material.direction)
    top = max(told.values(), default=1.0)
    told = {trial: score / top for trial, score in told.items()}
    order = sorted(material.records, key=lambda r: -told.get(r.number, 0.0))
    best = material.best.number if material.best else None
    axes = {axis.name: axis for axis in material.axes}
    return [
        (
            one.name,
            _said(one),
            panels.panel(axes[one.name], order, told, best=best, telling=one.stands_out),
        )
        for one in insight.importance.found
        if one.n >= 2
    ]


def _edge_table(edges: Sequence[Edge]) -> tuple[Table, ...]:
    rows = [
        [e.name, f"{e.side} {e.bound:g}", f"{e.near} of {e.top}",
         "–" if e.best is None else f"{e.best:.3g}", f"{e.move_to:g}",
         "clear" if e.strong else "weak"]
        for e in edges
    ]  # fmt: skip
    headings = ("parameter", "end", "top trials there", "best", "move it to", "sign")
    caption = "Ranges whose best trials lie within 5 % of an end"
    return (table(headings, rows, caption=caption),) if rows else ()


def _importance_how(insight: Insight) -> str:
    pruned = insight.importance.n_pruned
    return (
        "The ranks of the trials are regressed on all parameters at once (additive model: Hastie & "
        "Tibshirani, 1986; ridge by cross-validation); a bar is the share of their variance that "
        "is lost without that parameter. Parameters of a branch count within it only. Whiskers: "
        "95 % of a bootstrap over trials (Efron, 1979). The tick is the control: what a made-up "
        "parameter without effect reaches in 1 of 100 cases (200 of its kind, drawn evenly). What "
        "is not beyond its tick is grey. Below, each dot is a trial, the best on top; rings were "
        "pruned, the shaded ends are 5 % of the range. A parameter that only works together with "
        "another may be "
        f"grey too. {pruned} pruned trials take the place that their value had among the others "
        "at the same validation; failed ones are left out."
    )


def _said(one: Importance) -> str:
    if one.share is None:
        return f"only {one.n} trials"
    return f"{one.share:.0%}" if one.stands_out else "not above chance"


def _importance_chart(known: list[Importance]) -> Chart:
    names = [label(one.name, 34) for one in known]
    shares = [one.share or 0.0 for one in known]
    hover = [
        f"{label(one.name)}: {one.share or 0:.1%} [{one.low or 0:.1%}, {one.high or 0:.1%}], "
        f"control {one.null or 0:.1%}, {one.n} trials"
        for one in known
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "lost without it",
        "x": shares,
        "y": names,
        "marker": {"color": [BLUE if one.stands_out else FAINT for one in known]},
        "error_x": spread([o.low for o in known], shares, [o.high for o in known]),
        "text": hover,
        "textposition": "none",
        "hoverinfo": "text",
        "showlegend": False,
    }
    ticks = points(
        [one.null or 0.0 for one in known], names, "control: a parameter without effect",
        colour=ORANGE, symbol="line-ns-open", size=16,
    )  # fmt: skip
    ticks["marker"]["line"] = {"width": 2.5, "color": ORANGE}
    return chart(
        [bars, ticks], "Importance of each parameter beside a control without effect.",
        x="share of the trials' order that is lost without it", y="",
        height=rows_height(len(names)), yaxis=rows_axis(names),
        xaxis={"tickformat": ".0%", "rangemode": "tozero"},
    )  # fmt: skip


def matrix_part(insight: Insight) -> Part:
    """Which family, and which optimizer?"""
    found, material = insight.matrix, insight.material
    rows = []
    for family in found.families:
        row: list[Any] = [family]
        for optimizer in found.optimizers:
            row.append(_matrix_cell(found, family, optimizer))
        rows.append(row)
    headings = ("family", *found.optimizers)
    return Part(
        key="families",
        short="Families",
        question="Which family, and which optimizer?",
        answer=found.sentence,
        tables=(table(headings, rows, caption="best · median, complete trials of all tried"),)
        if rows
        else (),
        how=f"By {material.metric}. Hatched cells have fewer than {FEW} complete trials. A sampler "
        "that learns goes where it was good: few trials in a cell may mean that it was given up.",
        csv=csv("families.csv", FAMILIES, [
            (c.family, c.optimizer, c.best, c.median, c.n, c.tried, c.trial) for c in found.cells
        ]),
    )  # fmt: skip


def _matrix_cell(found: Matrix, family: str, optimizer: str) -> Cell:
    cell = found.cell(family, optimizer)
    if cell is None:
        return Cell(text="never tried", kind="empty")
    kind = "thin" if cell.is_thin else ""
    top = cell is found.first
    known = f"{number(cell.best)} · {number(cell.median)}" if cell.n else "none complete"
    text = f"{known}, {cell.n} of {cell.tried}"
    return Cell(text=text, kind=f"{kind} first".strip() if top else kind)
