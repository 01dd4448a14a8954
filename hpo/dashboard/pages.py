"""Our own pages of the dashboard, made on the server: no script is needed to read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hpo.dashboard.summaries import STATES, Row, Summary
from hpo.records import TrialRecord
from hpo.words import MARKS, arrow, duration, number, plain_value

PER_PAGE = 50
"""Trials on a page of a study."""
WIDE, HIGH = 96, 24
"""Of the small pictures in tables, in points."""


@dataclass(frozen=True, kw_only=True)
class Links:
    """Where the pages of a study are."""

    study: str
    report: str
    optuna: str | None
    """None if Optuna's storage does not know the study."""
    tensorboard: str | None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A study in the index."""

    summary: Summary
    links: Links

    @property
    def trend(self) -> Markup:
        """The best value so far over epochs, with the default's as a line."""
        return spark(self.summary.gains(), level=self.summary.default)


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial on the page of its study."""

    row: Row
    words: str
    curve: Sequence[float]


def render(template: str, **values: Any) -> str:
    """Return a page."""
    return _environment().get_template(template).render(**values)


def spark(points: Sequence[tuple[float, float]], level: float | None = None) -> Markup:
    """Return a small picture of what only got better, in steps; ``level`` is a dashed line."""
    if len(points) < 2:
        return Markup("")
    values = [value for _, value in points] + ([] if level is None else [level])
    low, high = min(values), max(values)
    most = points[-1][0] or 1.0

    def place(x: float, y: float) -> str:
        share = 0.5 if high == low else (y - low) / (high - low)
        return f"{2 + x / most * (WIDE - 4):.1f},{2 + (1 - share) * (HIGH - 4):.1f}"

    steps = [place(*points[0])]
    for (_, before), (x, y) in pairwise(points):
        steps += [place(x, before), place(x, y)]
    parts = [f'<polyline class="line" points="{" ".join(steps)}"/>']
    if level is not None:
        ends = " ".join((place(0, level), place(most, level)))
        parts.insert(0, f'<polyline class="level" points="{ends}"/>')
    return _picture(parts)


def bars(values: Sequence[float]) -> Markup:
    """Return a small picture of a curve."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    step = (WIDE - 4) / (len(values) - 1)
    points = " ".join(
        f"{2 + i * step:.1f},{2 + (0.5 if high == low else (high - y) / (high - low)) * 20:.1f}"
        for i, y in enumerate(values)
    )
    return _picture([f'<polyline class="line" points="{points}"/>'])


def _picture(parts: Sequence[str]) -> Markup:
    box = f'viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}"'
    return Markup(f'<svg class="spark" {box} aria-hidden="true">{"".join(parts)}</svg>')


def cell(text: str) -> str:
    """Return a setting as tables write it, a long number short.

    >>> cell("0.14738945543303122"), cell("64"), cell("sgd")
    ('0.147', '64', 'sgd')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    return text if len(text) <= 8 else plain_value(value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hpo.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "duration": duration,
        "arrow": lambda direction: arrow(direction) if direction else "",
        "plain": plain_value,
        "count": lambda n: "–" if n is None else f"{n:,}",
        "cell": cell,
        "bars": bars,
        "day": lambda utc: utc[:10],
        "minute": lambda utc: utc[:16].replace("T", " "),
    }
    environment.globals |= {"MARKS": MARKS, "STATES": STATES}
    return environment


def of_trial(record: TrialRecord) -> list[tuple[str, str]]:
    """Return what is known of a trial, as names and values."""
    run = record.run
    found = [("state", record.state), ("seconds", duration(record.seconds))]
    if record.reason:
        found.append(("reason", record.reason))
    if record.what:
        found.append(("what", record.what))
    if run is not None:
        found += [
            ("best epoch", f"{run.best_epoch:g} of {run.epochs_run:g}"),
            ("stopped by", run.stopped_by),
            ("parameters", f"{run.n_parameters:,}"),
            ("latency", "–" if run.latency_ms is None else f"{run.latency_ms:.3g} ms"),
        ]
        found += [(name, number(value)) for name, value in sorted(run.metrics.items())]
    found += [("measured " + name, f"{value:g}") for name, value in record.measured.items()]
    return found + [("note", note) for note in record.notes]
