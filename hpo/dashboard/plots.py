"""The figures that Optuna's dashboard shows of a study beside its own."""

import json

from hpo.dashboard.summaries import Summary
from hpo.words import number

PREFIX = "dashboard:plot_data:"


def figures_of(summary: Summary) -> dict[str, str]:
    """Return figures as the system attributes that Optuna's dashboard reads."""
    gains = summary.gains()
    return {f"{PREFIX}best-so-far:0": json.dumps(_gain(summary, gains))} if gains else {}


def _gain(summary: Summary, gains: list[tuple[float, float]]) -> dict[str, object]:
    """Return the best value so far against epochs spent, and the default's."""
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [x for x, _ in gains],
        "y": [y for _, y in gains],
        "line": {"shape": "hv", "color": "#0072b2", "width": 2.5},
    }
    shapes = []
    answer = f"best {number(gains[-1][1])} after {gains[-1][0]:g} epochs"
    if summary.default is not None:
        level = {"x0": 0, "x1": 1, "xref": "paper", "y0": summary.default, "y1": summary.default}
        dashed = {"color": "#7f7f7f", "dash": "dash", "width": 1.5}
        shapes = [{"type": "line", **level, "line": dashed}]
        answer += f"; default (dashed) {number(summary.default)}"
    return {
        "data": [line],
        "layout": {
            "title": {"text": f"Was tuning worth it?<br><sub>{answer}</sub>"},
            "xaxis": {"title": {"text": "epochs spent"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "the objective, best so far"}},
            "shapes": shapes,
        },
    }
