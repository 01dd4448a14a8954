"""Verbs that search: make a study file, check it, run it."""

import json
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import (
    RESULTS,
    Json,
    Plugins,
    Results,
    Sets,
    Storage,
    StudyFile,
    load,
    typed_results,
)


def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A table or a folder.")],
    target: Annotated[str | None, typer.Option(help="The column to predict; several: a,b.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("study.yaml"),
) -> None:
    """Look at a table or a folder of images and write a study file for it."""
    from hpo.draft.init import draft_study, write_draft

    write_draft(draft_study(data, target=target, name=name), output)
    answer(str(output))
    say(f"next: hpo check {output}     see what it would try")
    say("      hpo run" + ("" if str(output) == "study.yaml" else f" {output}"))


def check(
    study_file: StudyFile = "study.yaml",
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Validate a study, show three of its configs, train one batch of every family."""
    spec = load(study_file, sets, plugin)
    from hpo.check import check_study, report

    checked = check_study(spec)
    if as_json:
        samples = [one.config.plain() for one in checked.samples]
        tried = [
            {**asdict(one), "family": one.config.family, "config": one.config.plain()}
            for one in checked.tried
        ]
        answer_json("check", {"study": spec.name, "samples": samples, "families": tried})
    else:
        report(checked, answer)
        given = {"--set": sets or (), "--plugin": plugin or ()}
        more = [word for name, values in given.items() for one in values for word in (name, one)]
        say(f"next: {shlex.join(['hpo', 'run', study_file, *more])}")


def run(
    study_file: StudyFile = "study.yaml",
    sets: Sets = None,
    trials: Annotated[int | None, typer.Option(help="Same as --set budget.trials=N.")] = None,
    time: Annotated[str | None, typer.Option(help="Same as --set budget.time=10m.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set search.seed=N.")] = None,
    name: Annotated[str | None, typer.Option(help="Same as --set name=NAME.")] = None,
    threads: Annotated[int | None, typer.Option(help="Same as --set trainer.threads=N.")] = None,
    plugin: Plugins = None,
    storage: Storage = None,
    results: Results = RESULTS,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Trials at once; default: GPUs, or cores / threads. 0: this process."
        ),
    ] = None,
    allow_change: Annotated[
        bool, typer.Option(help="Resume with other settings all the same; recorded.")
    ] = False,
    plain: Annotated[bool, typer.Option(help="Lines instead of a live view.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print nothing but the answer.")] = False,
    events: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Write events as JSON Lines.")
    ] = None,
    logger: Annotated[
        list[str] | None,
        typer.Option(help="Log trials there too: csv, mlflow, wandb (repeatable; offline)."),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the time went; kept in profile.json.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search: create a study or go on with it, up to its total budget. Prints the best config."""
    began = monotonic()
    if as_json and events == "-":
        raise UsageError("", "--json and --events - both write the answer", "--events FILE")
    shorthands = {
        "budget.trials": trials,
        "budget.time": time,
        "search.seed": seed,
        "name": None if name is None else json.dumps(name, ensure_ascii=False),  # text, always
        "trainer.threads": threads,
    }
    short = [f"{path}={value}" for path, value in shorthands.items() if value is not None]
    if not quiet:
        say("loading torch…")
    spec = load(study_file, [*(sets or []), *short], plugin)
    from hpo.terminal.run import Options, Terminal, run_in_terminal

    terminal = Terminal(
        plain=plain,
        quiet=quiet or as_json,
        answers=not as_json and events != "-",
        events=events,
        command=_again(study_file),
        began=began,
        profile=profile,
        options=Options(
            place=typed_results(results),
            plugins="".join(f" --plugin {shlex.quote(name)}" for name in plugin or ()),
        ),
    )
    outcome = run_in_terminal(
        spec,
        results,
        terminal,
        storage=storage,
        workers=workers,
        allow_change=allow_change,
        loggers=tuple(dict.fromkeys(logger or ())),
    )
    stopped = 128 + signal.SIGTERM if outcome.end.why == "stopped" else 0
    code = stopped if outcome.signal is None else 128 + outcome.signal
    if outcome.signal is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a late Ctrl-C has nothing left to stop
    best = outcome.folder.best_config
    if as_json:
        record = json.loads(best.read_text(encoding="utf-8")) if best.exists() else None
        answer_json("run", {"path": str(best), "best": record}, exit_code=code)
    if code:
        raise typer.Exit(code)


def _again(study_file: str) -> str:
    """Return the command that resumes: the one that was typed."""
    return "hpo " + shlex.join(sys.argv[1:]) if len(sys.argv) > 1 else f"hpo run {study_file}"
