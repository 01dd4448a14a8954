"""Verbs that look at a study while it runs, and change its course from another terminal."""

from pathlib import Path
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.layout import find_study
from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import RESULTS, Json, Plugins, Results, Sets, StudyName, load_plugins

Wait = Annotated[bool, typer.Option(help="Wait until it has ended, a minute at most.")]


def status(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Default: all studies that run.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and show every second how far it is.")
    ] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Look at a study that runs anywhere on this machine; nothing of it is disturbed."""
    from hpo.steering.status import status_lines, status_of

    if watch:
        if study is None or as_json:
            raise UsageError("--watch", "shows one study to a reader", "hpo status STUDY --watch")
        from hpo.terminal.watch import watch as follow

        follow(find_study(study, results))
    elif study is not None:
        found = status_of(find_study(study, results))
        if as_json:
            answer_json("status", found.plain())
        else:
            answer("\n".join(status_lines(found)))
    else:
        _status_of_all(results, as_json=as_json)


def _status_of_all(results: Path, *, as_json: bool) -> None:
    from hpo.steering.status import headline, status_of, studies_to_show

    shown = [status_of(folder) for folder in studies_to_show(results)]
    if as_json:
        answer_json("status", [one.plain() for one in shown])
    elif shown:
        answer("\n".join(map(headline, shown)))
    else:
        say(f"no study in {results}/; next: hpo run quickstart")


def stop(
    study: StudyName,
    trial: Annotated[int | None, typer.Argument(min=0, help="End this trial alone.")] = None,
    wait: Wait = True,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Stop a study as Ctrl-C does, or end one of its trials at its next validation."""
    from hpo.steering.asking import end_trial, stop_study
    from hpo.steering.status import status_of

    folder = find_study(study, results)
    if trial is None:
        stop_study(folder, wait=wait)
        told = "has stopped" if wait else "was asked to stop"
    else:
        ended = end_trial(folder, trial, wait=wait)
        told = f"has ended trial {trial}" if wait else f"was asked to end trial {trial}"
        told = told if ended else f"has stopped before trial {trial} ended; it waits"
    now = status_of(folder)
    if as_json:
        answer_json("stop", {"told": told, **now.plain()})
        return
    total = "" if now.limits.trials is None else f" of {now.limits.trials}"
    answer(f"{folder.name} {told}; {now.ended}{total} trials have ended")
    if trial is None:
        say("next: the same hpo run again goes on")


def enqueue(
    study: StudyName,
    sets: Sets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Let the next trial have the values of --set; the sampler draws the others."""
    load_plugins(plugin)
    from hpo.steering.asking import enqueue as ask
    from hpo.steering.asking import room

    folder = find_study(study, results)
    params = ask(folder, sets or ())
    beyond, runs = room(folder)
    if as_json:
        answer_json("enqueue", {"params": params, "beyond_budget": beyond or 0, "running": runs})
        return
    values = " ".join(f"{name}={value}" for name, value in params.items())
    answer(f"enqueued: {values}")
    if beyond:
        command = f"hpo budget {folder.name}" if runs else "hpo run FILE"
        say(f"the budget has no room for {beyond} of what is enqueued; {command} --trials N")
    elif not runs:
        say("next: the same hpo run again takes it")


def budget(
    study: StudyName,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all.")] = None,
    time: Annotated[str | None, typer.Option(help="Time in all, such as 2h.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of all trials.")] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Raise or lower the total budget of a study that runs."""
    from hpo.search import seconds
    from hpo.steering.asking import set_budget
    from hpo.steering.requests import SetBudget
    from hpo.steering.status import headline

    folder = find_study(study, results)
    try:
        seconds(time or "1s")
    except ValueError as error:
        what, _, hint = str(error).partition("; ")
        raise UsageError("--time", what, hint) from None
    found = set_budget(folder, SetBudget(trials=trials, time=time, epochs=epochs))
    if as_json:
        answer_json("budget", found.plain())
    else:
        answer(headline(found))
