"""Verbs that prove: which study is better, and whether a record keeps what it says."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.errors import UsageError
from hpo.layout import find_study
from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import RESULTS, DataSets, Json, Plugins, Results, load_plugins

if TYPE_CHECKING:
    from hpo.compare import Comparison


class At(StrEnum):
    """In what an equal budget is counted."""

    TRIALS = "trials"
    EPOCHS = "epochs"
    SECONDS = "seconds"


class On(StrEnum):
    """The split whose values decide."""

    VALIDATION = "validation"
    TEST = "test"


def compare(
    studies: Annotated[list[str], typer.Argument(metavar="A B …", help="Studies or folders.")],
    at: Annotated[At, typer.Option(help="What an equal budget counts.")] = At.TRIALS,
    on: Annotated[On, typer.Option(help="The split that decides.")] = On.VALIDATION,
    env: Annotated[bool, typer.Option("--env", help="The environments too.")] = False,
    pareto: Annotated[bool, typer.Option("--pareto", help="Value against size, latency.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 4 unless data, split, metric … are the same.")
    ] = False,
    fail_if_worse: Annotated[
        str | None, typer.Option(metavar="A", help="Exit 4 if this one is worse than another.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the leaderboard as CSV.")] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Compare studies: may they be, in what they differ, which is better and how sure that is."""
    from hpo.compare import compare as compare_studies
    from hpo.compare.tables import leaderboard_csv
    from hpo.terminal.compared import comparable_lines, compared_lines

    if csv and as_json:
        raise UsageError("", "--csv and --json exclude each other", "choose one")
    folders = [find_study(study, results) for study in studies]
    done = compare_studies(folders, at=at.value, on=on.value)
    gate = _gate(done, studies, fail_if_worse)
    refused = strict and bool(done.refused)
    complaints = _strict_words(done) if refused else _worse_words(done, gate)
    code = 4 if complaints else 0
    if as_json:
        answer_json("compare", done.plain(), exit_code=code)
    elif refused:
        answer("\n".join(comparable_lines(done)))
    elif csv:
        answer(leaderboard_csv(done))
    else:
        answer("\n".join(compared_lines(done, environment=env, fronts=pareto)))
    _say_more(done, complaints, gate)
    if code:
        raise typer.Exit(code)


def _gate(done: "Comparison", studies: list[str], name: str | None) -> str | None:
    """Return the label of the study that must not be worse.

    Raises:
        UsageError: if it is none of those that are compared.
    """
    if name is None:
        return None
    for given, label in zip(studies, done.labels, strict=True):
        if name in (given, label):
            return label
    raise UsageError("--fail-if-worse", f"{name!r} is not compared", f"one of {', '.join(studies)}")


def _strict_words(done: "Comparison") -> list[str]:
    names = ", ".join(one.what for one in done.refused)
    return [f"--strict: not compared, since these differ: {names}; take studies with the same"]


def _worse_words(done: "Comparison", gate: str | None) -> list[str]:
    """Return what speaks against the study of --fail-if-worse: worse, or not to be compared."""
    if gate is None:
        return []
    barred = [
        one for one in done.verdicts if gate in (one.a, one.b) and one.outcome == "not comparable"
    ]
    return [f"--fail-if-worse {gate}: {one.sentence}" for one in (*barred, *done.worse(gate))]


def _say_more(done: "Comparison", complaints: list[str], gate: str | None) -> None:
    from hpo.compare.answers import next_commands

    for line in complaints:
        say(line)
    unknown = [one for one in done.verdicts if one.outcome == "unknown" and gate in (one.a, one.b)]
    if unknown and not complaints:
        say(f"warning: --fail-if-worse {gate}: whether it is worse cannot be told yet")
    commands = next_commands(done.verdicts)
    for i, command in enumerate(commands):
        say(f"{'next:' if i == 0 else '     '} {command}")


def verify(
    place: Annotated[
        str, typer.Argument(metavar="FILE_OR_STUDY", help="A best_config.json, or a study.")
    ],
    level: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="0 hashes, 1 re-score (default), 2 train again, 3 fresh seeds."
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="All levels: same as --level 3.")] = False,
    seeds: Annotated[
        int | None, typer.Option(min=3, help="Fresh seeds of level 3, which this asks for.")
    ] = None,
    stamp: Annotated[bool, typer.Option(help="Write the outcome into the file.")] = True,
    sets: DataSets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Verify a best config: hashes, the weights' score, another training, fresh seeds."""
    from hpo.terminal.verified import next_step, verified_lines
    from hpo.verify.verify import Wanted, file_of, highest_level, verify_file

    highest = highest_level(level, full=full, seeds=seeds)
    load_plugins(plugin)
    file = file_of(place, results)
    if highest:
        say("loading torch…")
    wanted = Wanted(level=highest, n_seeds=seeds, sets=tuple(sets or ()), stamp=stamp, say=say)
    done = verify_file(file, wanted)
    if as_json:
        answer_json("verify", done.plain(), exit_code=done.exit_code)
    else:
        answer("\n".join(verified_lines(done)))
    for line in next_step(done, place, plugin or []):
        say(line)
    if done.exit_code:
        raise typer.Exit(done.exit_code)
