"""Scalable vector graphics by hand: shapes as text, and frames with axes and ticks."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len

PAPER, INK, DIM, GRID = "#fefefe", "#1a1a1a", "#5a5a5a", "#dddddd"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b8860b", "#3a8fc4", "#000000")
"""Told apart by colour-blind readers (after Okabe and Ito, 2008), dark enough on white."""
DASHES = ("", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3")
FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', 'Noto Sans', sans-serif"
ON_PALE = "#111111"
"""Ink on a pale shape, which stays pale where the page is dark."""
_DARK = {
    PAPER: "#15181c",
    INK: "#e8e8e8",
    DIM: "#a9a9a9",
    GRID: "#33383f",
    PALETTE[0]: "#5ab4e5",
    PALETTE[1]: "#ff8a3d",
    PALETTE[2]: "#2fc493",
    PALETTE[3]: "#d98ad4",
    PALETTE[6]: "#ffffff",
}
"""The colours of dark pages, by those of light ones."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Point = tuple[float, float]


def text(
    at: Point,
    words: str,
    *,
    size: float = 12,
    anchor: str = "start",
    fill: str = INK,
    turn: float = 0,
    bold: bool = False,
) -> str:
    """Return a line of text; ``turn`` rotates it about its anchor, in degrees."""
    x, y = at
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
        f'fill="{fill}"{weight}{turned}>{printable(words)}</text>'
    )


def line(start: Point, end: Point, *, stroke: str = DIM, width: float = 1, dash: str = "") -> str:
    """Return a straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    (x1, y1), (x2, y2) = start, end
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{stroke}" stroke-width="{width:g}"{dashed}/>'
    )


def rect(corner: Point, size: Point, *, fill: str, hint: str = "") -> str:
    """Return a rectangle; ``hint`` is shown where the pointer rests on it."""
    (x, y), (width, height) = corner, size
    inside = f"<title>{printable(hint)}</title></rect>" if hint else "</rect>"
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'{shape} fill="{fill}">{inside}'


def circle(centre: Point, radius: float, *, fill: str, opacity: float = 1) -> str:
    """Return a disc."""
    x, y = centre
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"'
    return f'<circle {place} fill="{fill}" fill-opacity="{opacity:g}"/>'


def path(points: Sequence[Point], *, stroke: str, width: float = 2, dash: str = "") -> str:
    """Return a line through points."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{steps}" fill="none" stroke="{stroke}" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dashed}/>'
    )


def _dark_style(shapes: str) -> str:
    """Return the style that turns the colours of shapes where the reader's pages are dark."""
    rules = "".join(
        f"svg.hpo [{what}='{light}']{{{what}:{dark}}}"
        for light, dark in _DARK.items()
        for what in ("fill", "stroke")
        if f'{what}="{light}"' in shapes
    )
    return f"<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>"


def document(size: Point, title: str, answer: Sequence[str], parts: Sequence[str]) -> str:
    """Return a whole picture: the title is a question, the lines below answer it in words."""
    longest = max(map(cell_len, [*answer, title]))
    width, height = max(size[0], 48 + 6.8 * longest), size[1]
    lines = [text((24, 34), title, size=17, bold=True)]
    lines += [text((24, 55 + 17 * i), words, fill=DIM) for i, words in enumerate(answer)]
    shapes = "\n".join([rect((0, 0), (width, height), fill=PAPER), *lines, *parts])
    box = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="hpo" {box} role="img" '
            f'font-family="{FONT}">',
            _dark_style(shapes),
            f"<title>{printable(title)}</title>",
            f"<desc>{printable(' '.join(answer))}</desc>",
            shapes,
            "</svg>",
            "",
        ]
    )


def printable(words: str) -> str:
    r"""Return text for XML: escaped, without what XML cannot hold.

    >>> printable("a<b & \x00") == "a&lt;b &amp; \ufffd"
    True
    """
    return escape(_NO_XML.sub("\ufffd", words.replace("\n", " ").replace("\r", " ")))


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A rectangle of the picture and the values at its edges."""

    corner: Point
    size: Point
    x: Point
    y: Point

    def at(self, x: float, y: float) -> Point:
        """Return where values lie in the picture."""
        (left, top), (width, height) = self.corner, self.size
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return left + across * width, top + height - up * height

    def axes(self, x_label: str, y_label: str, *, counts: bool = False) -> list[str]:
        """Return grid, ticks and labels; ``counts`` has ticks at whole numbers upwards only."""
        (left, top), (width, height) = self.corner, self.size
        parts = []
        for value in ticks(*self.x):
            x, bottom = self.at(value, self.y[0])
            parts += [
                line((x, top), (x, bottom), stroke=GRID),
                text((x, bottom + 17), tick(value), size=11, anchor="middle", fill=DIM),
            ]
        for value in ticks(*self.y):
            if counts and value != int(value):
                continue
            _, y = self.at(self.x[0], value)
            parts += [
                line((left, y), (left + width, y), stroke=GRID),
                text((left - 7, y + 4), tick(value), size=11, anchor="end", fill=DIM),
            ]
        bottom = top + height
        return [
            *parts,
            line((left, bottom), (left + width, bottom), stroke=INK),
            line((left, top), (left, bottom), stroke=INK),
            text((left + width / 2, bottom + 37), x_label, anchor="middle"),
            text((left - 52, top + height / 2), y_label, anchor="middle", turn=-90),
        ]


def ticks(low: float, high: float, *, n: int = 5) -> list[float]:
    """Return about ``n`` round values between two.

    >>> ticks(0, 1), ticks(-3, 18)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 5.0, 10.0, 15.0])
    """
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def tick(value: float) -> str:
    """Return a tick's value.

    >>> tick(0.2), tick(15.0), tick(2_000_000.0)
    ('0.2', '15', '2e+06')
    """
    return f"{value:g}"


def around(low: float, high: float, share: float = 0.04) -> Point:
    """Return two ends with room on both sides; around a single value, room of its size."""
    room = (high - low) * share or abs(high) * 0.5 or 1.0
    return low - room, high + room
