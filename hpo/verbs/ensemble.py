"""The verb that combines a study's best trials into one model."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hpo.layout import StudyFolder, find_study
from hpo.terminal.answer import answer, answer_json, answer_table, say
from hpo.verbs.options import (
    RESULTS,
    DataSets,
    Json,
    Plugins,
    Results,
    StudyName,
    load_plugins,
    typed_results,
)

if TYPE_CHECKING:
    from hpo.ship.combined import EnsembleRecord


Method = Literal["greedy", "mean", "weighted", "vote", "stack"]


def ensemble(
    study: StudyName,
    top: Annotated[int, typer.Option(metavar="N", help="Of the N best trials.")] = 10,
    method: Annotated[Method, typer.Option(help="How their predictions become one.")] = "greedy",
    keep: Annotated[
        bool, typer.Option("--keep", help="Let it predict even if it is not better.")
    ] = False,
    sets: DataSets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Combine a study's best trials, if together they are better than the single best."""
    from hpo.ensemble.asking import Ask
    from hpo.local import only_data

    ask = Ask(method=method, top=top, keep=keep)
    ask.refuse()
    only_data(sets or ())
    folder = find_study(study, results)
    say("loading torch…")
    load_plugins(plugin)
    from hpo.ensemble.making import make_ensemble

    record = make_ensemble(folder, ask, tuple(sets or ()))
    if as_json:
        answer_json("ensemble", record.model_dump(mode="json", by_alias=True))
    place = typed_results(results)
    _print(folder, record, place, as_json=as_json)


def _print(folder: StudyFolder, record: "EnsembleRecord", place: str, *, as_json: bool) -> None:
    """Print what was found, unless it was as JSON; what is left out and what comes next is said."""
    from hpo.terminal import ensembled

    if not as_json:
        answer(ensembled.head_line(record))
        answer_table(*ensembled.member_rows(record, folder))
        answer("\n".join([*ensembled.score_lines(record), str(folder.combined)]))
    for line in ensembled.left_out_lines(record, folder):
        say(line)
    for line in ensembled.next_lines(record, folder, place):
        say(line)
