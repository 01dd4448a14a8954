"""Verbs that look at data before there is a study."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hpo.terminal.answer import answer_json, answer_table, say
from hpo.verbs.options import Json


def describe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or NPZ.")],
    target: Annotated[str | None, typer.Option(help="The column to predict; several: a,b.")] = None,
    as_json: Json = False,
) -> None:
    """Show the columns of a table: kind, missing values, examples, what each becomes."""
    from hpo.draft.describe import describe_table, description_rows

    found = describe_table(file, target=target)
    if as_json:
        answer_json("data describe", asdict(found))
        return
    answer_table(*description_rows(found))
    say(f"{found.n_rows:,} rows; {found.form}; target {found.target}")
    if found.n_repeats:
        say(f"{found.n_repeats:,} rows repeat an earlier one; they stay in one split with it")
