"""The tables of a comparison, as texts: the terminal and the page show the same ones."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.compare.comparison import Comparison
from hpo.compare.settings import Setting
from hpo.compare.standing import Budget, Point, Standing
from hpo.words import arrow, duration, number, plain_value
from lightning_modules.cells import CsvWriter, safe_cell

COST_WORDS = {"n_parameters": "parameters", "latency_ms": "ms per row"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; its first column stands to the left."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True
    """Whether the other columns stand to the right."""


def settings_table(title: str, found: Sequence[Setting], labels: Sequence[str]) -> Table:
    """Return settings in which studies differ, a column for each study."""
    rows = [[one.path, *(one.values[label] for label in labels)] for one in found]
    return Table(title=title, headings=["", *labels], rows=rows, numbers=False)


def values_table(comparison: Comparison) -> Table:
    """Return what each study found."""
    side = comparison.sides[0]
    headings = ["study", "search", "mean ± sd", "seeds", f"at {budget_words(comparison.budget)}"]
    rows = [
        [
            one.study,
            number(one.best),
            _spread(one),
            "1 seed" if not one.seeds else str(one.seeds),
            number(one.at_budget),
            number(one.median),
            number(one.default),
        ]
        for one in comparison.ranked()
    ]
    goal = f"{side.metric} {arrow(side.direction)}" if comparison.comparable else "values"
    title = f"What did each find? ({goal} on validation)"
    return Table(title=title, headings=[*headings, "median", "default"], rows=rows)


def costs_table(comparison: Comparison) -> Table:
    """Return what each study cost, and how large and fast its best network is."""
    headings = ["study", "trials", "✂ pruned", "✗ failed", "epochs", "training"]
    rows = [
        [
            one.study,
            str(one.trials),
            _share(one.pruned, one.trials),
            _share(one.failed, one.trials),
            f"{one.epochs:,.4g}",
            duration(one.seconds),
            "–" if one.n_parameters is None else f"{one.n_parameters:,}",
            "–" if one.latency_ms is None else f"{one.latency_ms:.3g}",
        ]
        for one in comparison.ranked()
    ]
    headings += list(COST_WORDS.values())
    return Table(title="What did it cost, and how large is it?", headings=headings, rows=rows)


def front_tables(comparison: Comparison) -> list[Table]:
    """Return the trials that none of any study beats in value and cost at once, for each cost."""
    side = comparison.sides[0]
    return [
        Table(
            title=f"What does {side.metric} cost in {COST_WORDS[cost]}?",
            headings=[COST_WORDS[cost], side.metric, "study", "trial"],
            rows=[[_cost(p), number(p.value), p.study, str(p.trial)] for p in front],
        )
        for cost, front in comparison.fronts.items()
    ]


def budget_words(budget: Budget) -> str:
    """Return an equal budget.

    >>> budget_words(Budget(at="trials", amount=20.0))
    '20 trials'
    """
    if budget.at == "seconds":
        return duration(budget.amount)
    return f"{budget.amount:.10g} {budget.at}"


def leaderboard_csv(comparison: Comparison) -> str:
    """Return the leaderboard as CSV: a line for each study, every number in full."""
    text = io.StringIO()
    writer = CsvWriter(text)
    by_label = {side.label: side for side in comparison.sides}
    for place, one in enumerate(comparison.ranked()):
        plain = {"metric": by_label[one.study].metric, **one.plain()}
        ends = plain.pop("ci95") or (None, None)
        plain |= {"ci95_low": ends[0], "ci95_high": ends[1]}
        plain |= {"budget": comparison.budget.amount, "budget_of": comparison.budget.at}
        if place == 0:
            writer.row(plain)
        writer.row(_cell(value) for value in plain.values())
    return text.getvalue()


def _spread(one: Standing) -> str:
    if one.mean is None:
        return "–"
    return number(one.mean) if one.sd is None else f"{number(one.mean)} ±{one.sd:#.2g}"


def _share(count: int, of: int) -> str:
    return f"{count} ({count / of:.0%})" if count else "0"


def _cost(point: Point) -> str:
    return f"{point.cost:,.0f}" if point.cost.is_integer() else plain_value(point.cost)


def _cell(value: object) -> object:
    if isinstance(value, str):
        return safe_cell(value)
    return "" if value is None else value
