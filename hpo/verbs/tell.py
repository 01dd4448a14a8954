"""Verbs that tell what a study came to, and what to search next."""

from pathlib import Path
from typing import Annotated

import typer

from hpo.layout import find_study
from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import RESULTS, Json, Plugins, Results, load_plugins


def report(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY…", help="Names or folders of studies.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: report.html of the study."),
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Write one self-contained page about a study, or several, and say what it says."""
    from hpo.insight import Insight, read_material
    from hpo.report import answers, page, write_report

    folders = [find_study(name, results) for name in dict.fromkeys(studies)]
    insights = [Insight(read_material(folder)) for folder in folders]
    single = len(folders) == 1
    path = output or (folders[0].report if single else results / "report.html")
    write_report(path, page(insights))
    if as_json:
        told = [answers(insight) for insight in insights]
        answer_json("report", {"path": str(path), "studies": told})
        return
    for insight in insights:
        if not single:
            answer(f"{insight.material.name}:")
        for sentence in insight.conclusion.sentences:
            answer(sentence if single else f"  {sentence}")
    answer(str(path))
    say(f"next: hpo advise {studies[0]}     what to search next")


def advise(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or folder.")],
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="Write the next study file; it must be new."),
    ] = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Say what the records advise to change in the next study, each with its evidence."""
    if plugin:
        load_plugins(plugin)
    from hpo.advise import advise as think
    from hpo.advise import next_study
    from hpo.insight import Insight, read_material

    insight = Insight(read_material(find_study(study, results)))
    found = think(insight)
    following = None if write is None else next_study(insight, found, write)
    if as_json:
        written = None if following is None else {"path": str(write), **following.plain()}
        told = [one.plain() for one in found]
        answer_json("advise", {"study": study, "advice": told, "written": written})
        return
    for one in found:
        answer(f"{one.what}\n  because {one.because}")
    if not found:
        answer(f"{insight.material.name}: the records give no reason to change the search")
    if following is not None:
        for line in following.changes:
            say(f"{write}: {line}")
        say(f"next: hpo check {write}     then hpo run {write}")
    else:
        say(f"next: hpo advise {study} --write next.yaml     the next study, begun with the best")
