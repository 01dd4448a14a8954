"""Parts of a report: a question, its answer in words, and what shows it."""

from dataclasses import dataclass

from hpo.report.charts import Chart
from hpo.report.tables import Csv, Table


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section of the page."""

    key: str
    """Of the section in its study: ``gain``."""
    short: str
    """For the list of contents."""
    question: str
    answer: str
    how: str = ""
    """How it was computed."""
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    beside: bool = False
    """Whether the tables stand beside each other."""
    folded: tuple[Table, ...] = ()
    """Tables that are shown on demand."""
    pictures: tuple[str, ...] = ()
    """SVG of ours, on white paper."""
    panels: tuple[tuple[str, str, str], ...] = ()
    """Small multiples: name, what is said of it, SVG."""
    notes: tuple[str, ...] = ()
    """Further sentences below the figures."""
    commands: tuple[tuple[str, str], ...] = ()
    """What to type, and what for."""
    csv: Csv | None = None
