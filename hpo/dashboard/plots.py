"""The figures that Optuna's dashboard shows of a study beside its own."""

import json
from collections.abc import Mapping
from html import escape
from textwrap import wrap
from typing import Any

from hpo.dashboard.summaries import Summary
from hpo.errors import HpoError
from hpo.insight import Insight, read_material
from hpo.insight.importance import Importances
from hpo.words import number

PREFIX = "dashboard:plot_data:"
BLUE, GREY = "#0072b2", "#a6a6a6"
MOST_TRIALS = 300
"""Of a larger study, and of one that runs, importance is left to the report: it takes a while."""

Plot = dict[str, Any]


def figures_of(summary: Summary) -> dict[str, str]:
    """Return figures as the system attributes that Optuna's dashboard reads."""
    found: dict[str, Plot] = {}
    gains = summary.gains()
    if gains:
        found["best-so-far"] = _gain(summary, gains)
    importance = _importances(summary)
    if importance is not None and any(one.share is not None for one in importance.found):
        found["importance"] = _importance(importance)
    return {f"{PREFIX}{name}:0": json.dumps(plot) for name, plot in found.items()}


def _gain(summary: Summary, gains: list[tuple[float, float]]) -> Plot:
    """Return the best value so far against epochs spent, and the default's."""
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [x for x, _ in gains],
        "y": [y for _, y in gains],
        "line": {"shape": "hv", "color": BLUE, "width": 2.5},
    }
    shapes = []
    answer = f"Best {number(gains[-1][1])} after {gains[-1][0]:g} epochs"
    if summary.default is not None:
        level = {"x0": 0, "x1": 1, "xref": "paper", "y0": summary.default, "y1": summary.default}
        dashed = {"color": "#7f7f7f", "dash": "dash", "width": 1.5}
        shapes = [{"type": "line", **level, "line": dashed}]
        answer += f"; the default (dashed) {number(summary.default)}"
    x = {"title": {"text": "epochs spent"}, "rangemode": "tozero"}
    y = {"title": {"text": escape(summary.metric)}}
    layout = _layout("Was tuning worth it?", f"{answer}.", {"xaxis": x, "yaxis": y})
    return {"data": [line], "layout": {**layout, "shapes": shapes}}


def _importances(summary: Summary) -> Importances | None:
    """Return what the records say matters; None where that takes long, or a record is damaged."""
    if summary.running or len(summary.rows) > MOST_TRIALS:
        return None
    try:
        return Insight(read_material(summary.folder)).importance
    except HpoError:
        return None


def _importance(importances: Importances) -> Plot:
    """Return each parameter's share with its interval, beside what one without effect reaches."""
    shown = [one for one in importances.found if one.share is not None][::-1]
    names = [escape(one.name) for one in shown]
    shares = [one.share or 0.0 for one in shown]
    above = [max((one.high or 0.0) - (one.share or 0.0), 0.0) for one in shown]
    below = [max((one.share or 0.0) - (one.low or 0.0), 0.0) for one in shown]
    interval = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "share",
        "x": shares,
        "y": names,
        "marker": {"color": [BLUE if one.stands_out else GREY for one in shown]},
        "error_x": {**interval, "color": "#7f7f7f", "thickness": 1.2, "width": 3},
    }
    marks = {
        "type": "scatter",
        "mode": "markers",
        "name": "without effect, 1 of 100",
        "x": [one.null for one in shown],
        "y": names,
        "marker": {"symbol": "line-ns-open", "size": 14, "color": "#d55e00"},
    }
    x = {"title": {"text": "share of the trials' order"}, "rangemode": "tozero"}
    layout = _layout(
        "Which choices matter, and which only seem to (grey)?",
        importances.sentence,
        {"xaxis": x, "yaxis": {"automargin": True}},
    )
    return {"data": [bars, marks], "layout": {**layout, "legend": {"orientation": "h", "y": -0.2}}}


def _layout(question: str, answer: str, rest: Mapping[str, Any]) -> Plot:
    lines = "<br>".join(escape(line) for line in wrap(answer, 76))
    title = {"text": f"{question}<br><sub>{lines}</sub>", "x": 0.02, "xanchor": "left"}
    top = 60 + 16 * (lines.count("<br>") + 1)
    return {"title": title, "margin": {"t": top, "r": 24}, **rest}
