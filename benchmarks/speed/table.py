"""Table: what one program of this package prints."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Table:
    """One goal's measurement, as people read it.

    ``verdicts`` are whole lines: what must be reached, what was, and ``reached: yes`` or ``no``.
    """

    goal: str
    """Which goal this answers: ``P1b``."""
    title: str
    command: str
    """What was run."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every row has as many cells as there are columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.goal}: {len(row)} cells below {len(self.columns)} columns")

    def markdown(self) -> str:
        """Return a heading, the command, the table, the verdicts and the notes."""
        lines = [
            f"### {self.goal}: {self.title}",
            "",
            f"`{self.command}`",
            "",
            _line(self.columns),
            _line(("---",) * len(self.columns)),
            *map(_line, self.rows),
        ]
        if self.verdicts:
            lines += ["", *(f"- **{verdict}**" for verdict in self.verdicts)]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def verdict(must: str, came: str, reached: bool | None) -> str:
    """Return one verdict line; None where it could not be told.

    >>> verdict("≥ 2.5×", "2.1×", False)
    'must reach ≥ 2.5×; came to 2.1×; reached: no'
    """
    answer = "not measured" if reached is None else "yes" if reached else "no"
    return f"must reach {must}; came to {came}; reached: {answer}"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
