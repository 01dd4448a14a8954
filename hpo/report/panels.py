"""Small pictures in the page: one panel per parameter, sparklines, and marks of intervals."""

from collections.abc import Mapping, Sequence

from hpo.figures.svg import printable
from hpo.insight.axes import Axis
from hpo.insight.noise import Span
from hpo.records import TrialRecord
from hpo.words import number, plain_value, short

WIDTH, HEIGHT = 236.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 12.0, 12.0, 10.0, 24.0
MOST_OPTIONS = 12
MOST_DOTS = 300
"""Of more trials, the best: the page stays light."""


def panel(
    axis: Axis,
    ranked: Sequence[TrialRecord],
    scores: Mapping[int, float],
    *,
    best: int | None,
    telling: bool,
) -> str:
    """Return one parameter against the order of the trials, a dot for each that has it.

    Args:
        axis: the parameter.
        ranked: trials, best first.
        scores: of the trials, 0 to 1; those without one are left out.
        best: the number of the best trial.
        telling: whether the parameter matters; the others are grey.
    """
    have = [r for r in ranked if axis.name in r.params and r.number in scores][:MOST_DOTS]
    kinds = {r.number: _kind(r, best, telling) for r in have}
    later = sorted(reversed(have), key=lambda r: r.number == best)
    dots = [_dot(axis, record, scores[record.number], kinds[record.number]) for record in later]
    floor, across = HEIGHT - BOTTOM, WIDTH - LEFT - RIGHT
    edge = f'y="{TOP:g}" width="{0.05 * across:.1f}" height="{floor - TOP:g}"/>'
    ends = (LEFT, WIDTH - RIGHT - 0.05 * across) if axis.is_number else ()
    frame = "".join(f'<rect class="edge" x="{x:.1f}" {edge}' for x in ends)
    base = f'<line class="s-grid" x1="{LEFT}" y1="{floor}" x2="{WIDTH - RIGHT}" y2="{floor}"/>'
    about = f"{axis.name} against the order of {len(have)} trials"
    return _svg((WIDTH, HEIGHT), "panel", about, f"{frame}{base}{''.join(dots)}{_ticks(axis)}")


def _kind(record: TrialRecord, best: int | None, telling: bool) -> str:
    if record.number == best:
        return "best"
    return "cut" if record.state == "pruned" else ("on" if telling else "off")


def _dot(axis: Axis, record: TrialRecord, score: float, kind: str) -> str:
    x = LEFT + _across(axis, record) * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - 4 - score * (HEIGHT - TOP - BOTTOM - 8)
    hint = f"trial {record.number}: {plain_value(record.params[axis.name])}"
    value = f"{number(record.value)}{' when pruned' if record.state == 'pruned' else ''}"
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{4.5 if kind == "best" else 3}">'
        f"<title>{printable(hint)}, {value}</title></circle>"
    )


def sparkline(values: Sequence[float]) -> str:
    """Return a curve as a line of 120 × 24."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    room = (high - low) or 1.0
    step = 116 / (len(values) - 1)
    places = " ".join(
        f"{2 + i * step:.1f},{21 - (v - low) / room * 18:.1f}" for i, v in enumerate(values)
    )
    about = f"from {number(values[0])} to {number(values[-1])}"
    return _svg((120, 24), "spark", about, f'<polyline class="s-blue" points="{places}"/>')


def interval(value: float, span: Span | None, ends: tuple[float, float], *, near: bool) -> str:
    """Return a value and its interval as a mark of 150 × 18 between two ends."""
    room = (ends[1] - ends[0]) or 1.0

    def at(v: float) -> float:
        return 4 + (min(max(v, ends[0]), ends[1]) - ends[0]) / room * 142

    bar = ""
    if span is not None:
        bar = (
            f'<line class="s-dim" x1="{at(span.low):.1f}" y1="9" x2="{at(span.high):.1f}" y2="9"/>'
        )
    kind = "f-blue" if near else "f-faint"
    about = number(value)
    if span is not None:
        about += f", {number(span.low)} to {number(span.high)}"
    dot = f'<circle class="{kind}" cx="{at(value):.1f}" cy="9" r="4.5"/>'
    return _svg((150, 18), "mark", about, bar + dot)


def _across(axis: Axis, record: TrialRecord) -> float:
    value = record.params[axis.name]
    if axis.is_number:
        return axis.unit(value)
    n = max(len(axis.options), 1)
    jitter = ((record.number * 0.618034) % 1 - 0.5) * 0.5
    return float(min(max((axis.level(value) + 0.5 + jitter) / n, 0.0), 1.0))


def _ticks(axis: Axis) -> str:
    y = HEIGHT - 8
    if axis.is_number and axis.low is not None and axis.high is not None:
        if axis.whole and not axis.log and axis.high - axis.low <= MOST_OPTIONS:
            values = range(int(axis.low), int(axis.high) + 1)
            room = WIDTH - LEFT - RIGHT
            return "".join(
                f'<text x="{LEFT + axis.unit(v) * room:.1f}" y="{y}" '
                f'text-anchor="middle">{v}</text>'
                for v in values
            )
        middle = axis.value(0.5)
        told = f"{round(middle)}" if axis.whole else f"{middle:.2g}"
        scale = " (log)" if axis.log else ""
        return (
            f'<text x="{LEFT}" y="{y}">{axis.low:g}</text>'
            f'<text x="{WIDTH / 2}" y="{y}" text-anchor="middle">{told}{scale}</text>'
            f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{axis.high:g}</text>'
        )
    n = len(axis.options)
    if n > MOST_OPTIONS:
        return f'<text x="{WIDTH / 2}" y="{y}" text-anchor="middle">{n} options</text>'
    width = (WIDTH - LEFT - RIGHT) / max(n, 1)
    return "".join(
        f'<text x="{LEFT + (i + 0.5) * width:.1f}" y="{y}" text-anchor="middle">'
        f"{printable(short(plain_value(option), max(2, int(width / 7))))}</text>"
        for i, option in enumerate(axis.options)
    )


def _svg(size: tuple[float, float], kind: str, about: str, body: str) -> str:
    width, height = size
    box = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    head = f'<svg class="{kind}" xmlns="http://www.w3.org/2000/svg" {box} role="img"'
    return f'{head} aria-label="{printable(about)}">{body}</svg>'


def fill(values: Mapping[int, float]) -> list[float]:
    """Return a curve's values in order."""
    return [values[place] for place in sorted(values)]
