"""Charts as pictures without a script: for readers without JavaScript."""

import math
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any

from hpo.figures.svg import printable, tick, ticks
from hpo.report.charts import Chart

WIDTH = 760.0
TOP, BOTTOM, RIGHT = 14.0, 52.0, 18.0
_DASHES = {"dash": "7 4", "dot": "2 3", "dashdot": "8 3 2 3", "longdash": "11 4"}


def picture(chart: Chart) -> str:
    """Return the chart as SVG, its legend before it; colours are classes of the page's style."""
    names = chart.layout["yaxis"].get("categoryarray")
    left = 210.0 if names else 74.0
    height = float(chart.layout["height"])
    x = _Scale(chart, "x", (left, WIDTH - RIGHT), None)
    y = _Scale(chart, "y", (height - BOTTOM, TOP), names)
    parts = [*_grid(x, y, left, height)]
    for trace in chart.data:
        parts += _trace(trace, x, y)
    parts += _titles(chart, left, height)
    box = f'viewBox="0 0 {WIDTH:g} {height:g}"'
    head = f'<svg class="still" xmlns="http://www.w3.org/2000/svg" {box} role="img">'
    return f"{_legend(chart)}{head}<title>{printable(chart.about)}</title>{''.join(parts)}</svg>"


def _legend(chart: Chart) -> str:
    """Return what the colours mean, as a line of HTML; nothing where there is one alone."""
    kinds: dict[str, str] = {}
    for trace in chart.data:
        paint = trace["line"] if trace.get("mode") == "lines" else trace["marker"]
        if trace.get("showlegend") is not False and isinstance(paint["color"], str):
            kinds.setdefault(unescape(trace["name"]), _colour(paint["color"]))
    if len(kinds) < 2:
        return ""
    words = " ".join(
        f'<span class="c-{kind}">●</span> {printable(name)} ' for name, kind in kinds.items()
    )
    return f'<p class="legend">{words}</p>'


class _Scale:
    """From values to places along one axis."""

    def __init__(
        self, chart: Chart, axis: str, ends: tuple[float, float], names: Sequence[str] | None
    ) -> None:
        self.names = list(names or ())
        settings = chart.layout[f"{axis}axis"]
        self.log = settings.get("type") == "log"
        self.ends = ends
        if self.names:
            self.low, self.high = -0.6, len(self.names) - 0.4
            return
        places = [self._of(v) for trace in chart.data for v in _values(trace, axis)]
        values = [place for place in places if place is not None]
        given = settings.get("range")
        if given:
            self.low, self.high = float(given[0]), float(given[1])
            return
        if settings.get("rangemode") == "tozero":
            values.append(0.0)
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        self.low, self.high = low - room, high + room

    def at(self, value: Any) -> float | None:
        place = self._of(value)
        if place is None:
            return None
        share = min(max((place - self.low) / (self.high - self.low), -0.02), 1.02)
        return self.ends[0] + share * (self.ends[1] - self.ends[0])

    def marks(self) -> list[tuple[float, str]]:
        if self.names:
            found = [(self.at(name), unescape(name)) for name in self.names]
        elif self.log:
            whole = range(math.ceil(self.low), math.floor(self.high) + 1)
            powers = [p for p in whole if abs(p) < 300] or [min(max(round(self.low), -300), 300)]
            found = [(self.at(10.0**p), tick(10.0**p)) for p in powers]
        else:
            found = [(self.at(v), tick(v)) for v in ticks(self.low, self.high)]
        return [(place, words) for place, words in found if place is not None]

    def _of(self, value: Any) -> float | None:
        if self.names:
            return float(self.names.index(value)) if value in self.names else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None
        if self.log:
            return math.log10(value) if value > 0 else None
        return float(value)


def _values(trace: Mapping[str, Any], axis: str) -> list[Any]:
    values = list(trace[axis])
    errors = trace.get(f"error_{axis}")
    if errors:
        values += [v + e for v, e in zip(trace[axis], errors["array"], strict=True)]
        values += [v - e for v, e in zip(trace[axis], errors["arrayminus"], strict=True)]
    return [*values, 0.0] if trace["type"] == "bar" and axis == "x" else values


def _trace(trace: Mapping[str, Any], x: _Scale, y: _Scale) -> list[str]:
    places = [(x.at(a), y.at(b)) for a, b in zip(trace["x"], trace["y"], strict=True)]
    if trace["type"] == "bar":
        return _bars(trace, places, x)
    if trace["mode"] == "markers":
        kind = _colour(trace["marker"]["color"])
        dots = [
            f'<circle class="f-{kind}" cx="{a:.1f}" cy="{b:.1f}" r="4"/>'
            for a, b in places
            if a is not None and b is not None
        ]
        return [*_errors(trace, y, x), *dots]
    kind = _colour(trace["line"]["color"])
    if trace.get("fill"):
        corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in places if None not in (a, b))
        return [f'<polygon class="f-{kind}" points="{corners}"/>']
    return _lines(trace, places, kind)


def _lines(
    trace: Mapping[str, Any], places: Sequence[tuple[float | None, float | None]], kind: str
) -> list[str]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for a, b in places:
        if a is None or b is None:
            pieces.append([])
            continue
        if trace["line"].get("shape") == "hv" and pieces[-1]:
            pieces[-1].append((a, pieces[-1][-1][1]))
        pieces[-1].append((a, b))
    dash = _DASHES.get(trace["line"].get("dash", ""), "")
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return [
        f'<polyline class="s-{kind}"{dashed} points="'
        + " ".join(f"{a:.1f},{b:.1f}" for a, b in piece)
        + '"/>'
        for piece in pieces
        if len(piece) > 1
    ]


def _bars(
    trace: Mapping[str, Any], places: Sequence[tuple[float | None, float | None]], x: _Scale
) -> list[str]:
    zero = x.at(0.0) or 0.0
    colours = trace["marker"]["color"]
    parts = []
    for i, (a, b) in enumerate(places):
        if a is None or b is None:
            continue
        kind = _colour(colours if isinstance(colours, str) else colours[i])
        size = f'width="{max(a - zero, 0):.1f}" height="16"'
        parts.append(f'<rect class="f-{kind}" x="{zero:.1f}" y="{b - 8:.1f}" {size}/>')
    return [*parts, *_errors(trace, None, x, places)]


def _errors(
    trace: Mapping[str, Any],
    y: _Scale | None,
    x: _Scale,
    places: Sequence[tuple[float | None, float | None]] | None = None,
) -> list[str]:
    errors = trace.get("error_x")
    if not errors:
        return []
    parts = []
    for i, value in enumerate(trace["x"]):
        level = places[i][1] if places else (y.at(trace["y"][i]) if y else None)
        low, high = x.at(value - errors["arrayminus"][i]), x.at(value + errors["array"][i])
        if None not in (low, high, level):
            parts.append(
                f'<line class="s-dim" x1="{low:.1f}" y1="{level:.1f}" '
                f'x2="{high:.1f}" y2="{level:.1f}"/>'
            )
    return parts


def _grid(x: _Scale, y: _Scale, left: float, height: float) -> list[str]:
    bottom, right = height - BOTTOM, WIDTH - RIGHT
    parts = []
    for place, words in x.marks():
        parts.append(
            f'<line class="s-grid" x1="{place:.1f}" y1="{TOP}" x2="{place:.1f}" y2="{bottom:g}"/>'
            f'<text x="{place:.1f}" y="{bottom + 17:g}" text-anchor="middle">{words}</text>'
        )
    for place, words in y.marks():
        parts.append(
            f'<line class="s-grid" x1="{left:g}" y1="{place:.1f}" x2="{right:g}" y2="{place:.1f}"/>'
            f'<text x="{left - 7:g}" y="{place + 4:.1f}" text-anchor="end">'
            f"{printable(words)}</text>"
        )
    return parts


def _titles(chart: Chart, left: float, height: float) -> list[str]:
    across = unescape(chart.layout["xaxis"]["title"]["text"])
    up = unescape(chart.layout["yaxis"]["title"]["text"])
    middle, side = (left + WIDTH - RIGHT) / 2, (TOP + height - BOTTOM) / 2
    turn = f'transform="rotate(-90 16 {side:g})"'
    return [
        f'<text x="{middle:g}" y="{height - 12:g}" text-anchor="middle">{printable(across)}</text>',
        f'<text x="16" y="{side:g}" text-anchor="middle" {turn}>{printable(up)}</text>',
    ]


def _colour(token: str) -> str:
    return token[1:] if token[:1] == "\ue000" else "dim"
