"""Charts: figures as plain values for plotly.js, in colours that the page's style decides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from hpo.words import short

Json = dict[str, Any]
_TOKEN = "\ue000"
"""Stands before the name of a colour, which the page's script looks up in the style."""
INK, DIM, FAINT, BAND = (_TOKEN + name for name in ("ink", "dim", "faint", "band"))
BLUE, ORANGE, GREEN, PURPLE, OCHRE = (
    _TOKEN + name for name in ("blue", "orange", "green", "purple", "ochre")
)
SERIES = (BLUE, ORANGE, GREEN, PURPLE, OCHRE)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
ROW = 30
"""Pixels of a row, where the vertical axis lists names."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure: traces and layout as plotly.js takes them, and what it shows in words."""

    data: tuple[Json, ...]
    layout: Json
    about: str

    def plain(self) -> Json:
        """Return the figure as plain values; what is no number is null."""
        return {"data": _finite(list(self.data)), "layout": _finite(self.layout)}


def label(text: object, cells: int = 60) -> str:
    """Return the user's text for plotly.js, which reads a few tags and entities in it."""
    return escape(short(str(text), cells), quote=False)


def chart(
    data: Sequence[Json],
    about: str,
    *,
    x: str,
    y: str,
    height: int = 360,
    **layout: Any,
) -> Chart:
    """Return a chart with titled axes; ``layout`` adds to them, ``xaxis`` and ``yaxis`` merged."""
    axes = {
        "xaxis": {"title": {"text": x}, **layout.pop("xaxis", {})},
        "yaxis": {"title": {"text": y}, **layout.pop("yaxis", {})},
    }
    return Chart(data=tuple(data), layout={"height": height, **axes, **layout}, about=about)


def points(
    x: Sequence[float], y: Sequence[Any], name: str, *, colour: str, hover: Sequence[str] = (),
    symbol: str = "circle", size: int = 8, opacity: float = 1.0,
) -> Json:  # fmt: skip
    """Return markers."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "marker": {"color": colour, "symbol": symbol, "size": size, "opacity": opacity},
        **_hover(hover),
    }


def line(
    x: Sequence[float], y: Sequence[Any], name: str, *, colour: str, hover: Sequence[str] = (),
    dash: str = "solid", width: float = 2, shape: str = "linear",
) -> Json:  # fmt: skip
    """Return a line; ``hv`` is one of steps."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "dash": dash, "width": width, "shape": shape},
        **_hover(hover),
    }


def level(x: tuple[float, float], y: float, name: str, *, colour: str = DIM) -> Json:
    """Return a dotted horizontal line."""
    return line(x, (y, y), name, colour=colour, dash="dot", width=1.5)


def band(x: Sequence[float], low: Sequence[float], high: Sequence[float], name: str) -> Json:
    """Return the area between two curves."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": BAND,
        "line": {"width": 0, "color": BAND},
        "hoverinfo": "skip",
    }


def spread(
    low: Sequence[float | None], middle: Sequence[float], high: Sequence[float | None]
) -> Json:
    """Return horizontal error bars around values; none where an end is not known."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [0 if h is None else h - m for m, h in zip(middle, high, strict=True)],
        "arrayminus": [0 if w is None else m - w for m, w in zip(middle, low, strict=True)],
        "color": DIM,
        "thickness": 1.5,
        "width": 4,
    }


def rows_axis(names: Sequence[str]) -> Json:
    """Return a vertical axis that lists names, the first on top."""
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(reversed(names)),
        "range": [-0.6, len(names) - 0.4],
        "title": {"text": ""},
        "automargin": True,
        "showgrid": False,
    }


def rows_height(n: int) -> int:
    """Return the height of a chart of ``n`` rows."""
    return 110 + ROW * n


def log_axis(values: Sequence[float]) -> Json:
    """Return a logarithmic axis where values span a decade or more, else a plain one."""
    positive = [value for value in values if value > 0]
    if len(positive) < len(values) or not positive or max(positive) < 8 * min(positive):
        return {"rangemode": "tozero"}
    return {"type": "log"}


def _hover(texts: Sequence[str]) -> Json:
    return {"text": list(texts), "hoverinfo": "text"} if texts else {}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value
