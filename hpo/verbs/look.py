"""Verbs that look at what is recorded, or at what there is."""

import json
import signal
import sys
from dataclasses import asdict
from shutil import get_terminal_size
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.layout import find_study
from hpo.terminal.answer import answer, answer_json, answer_table, say
from hpo.verbs.options import RESULTS, Json, Plugins, Results, Storage, StudyName, load_plugins


def best(
    study: StudyName,
    path: Annotated[bool, typer.Option(help="Print the file's path.")] = False,
    get: Annotated[str | None, typer.Option(metavar="PATH", help="One value as JSON.")] = None,
    form: Annotated[
        str | None, typer.Option("--as", metavar="yaml|json|flags|python", help="The config.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="The best N trials.")] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Print a study's best config."""
    from hpo.listing import load_best, pick, render, top_trials
    from hpo.terminal.tables import best_lines, trial_rows

    if sum((path, get is not None, form is not None, top is not None, as_json)) > 1:
        raise UsageError("", "--path, --get, --as, --top, --json exclude each other", "choose one")
    folder = find_study(study, results)
    found = load_best(folder)
    if as_json:
        answer_json("best", found.model_dump(mode="json", by_alias=True))
    elif path:
        answer(str(folder.best_config))
    elif get is not None:
        answer(json.dumps(pick(found.config, get), ensure_ascii=False))
    elif form is not None:
        answer(render(found.config, form))
    elif top is not None:
        answer_table(*trial_rows(top_trials(folder, top), found.metric["name"]))
    else:
        answer("\n".join(best_lines(found)))
        command = found.reproduce["train"].replace("best_config.json", str(folder.best_config), 1)
        say(f"next: {command}     train it again")


def list_verb(results: Results = RESULTS, as_json: Json = False) -> None:
    """List all studies."""
    from hpo.listing import list_studies
    from hpo.terminal.tables import study_rows

    lines = list_studies(results)
    if as_json:
        answer_json("list", [asdict(line) for line in lines])
    elif lines:
        answer_table(*study_rows(lines))
        for damaged in (one for line in lines for one in line.damaged):
            say(f"warning: {damaged}")
    else:
        say(f"no study in {results}/; next: hpo run quickstart")


def show(
    study: StudyName,
    trials: Annotated[list[int], typer.Argument(metavar="TRIAL…")],
    diff: Annotated[bool, typer.Option(help="Only what differs between the trials.")] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Show trials: config, curve, result."""
    from hpo.listing import curve, differing, find_trial
    from hpo.terminal.tables import difference_rows, trial_lines

    folder = find_study(study, results)
    records = [find_trial(folder, number) for number in trials]
    if diff and len(records) < 2:
        raise UsageError("--diff", "needs two trials or more", f"hpo show {study} --diff 0 1")
    if as_json:
        answer_json("show", [record.model_dump(mode="json", by_alias=True) for record in records])
    elif diff:
        answer_table(*difference_rows(records, differing(records)))
    else:
        for record in records:
            answer("\n".join(trial_lines(record, curve(folder, record.number))))


def dashboard(
    results: Results = RESULTS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    storage: Storage = None,
) -> None:
    """Look at all studies in a browser: Optuna's dashboard and TensorBoard, on this machine."""
    from hpo.dashboard import Dashboard

    board = Dashboard(results, storage=storage, port=port)
    answer(f"{board.addresses.optuna}   Optuna dashboard: trials, importance, history")
    answer(f"{board.addresses.tensorboard}   TensorBoard: curves, HParams")
    sys.stdout.flush()
    say("Ctrl-C ends")
    try:
        signal.pause()
    except KeyboardInterrupt:
        board.close()


def schema(plugin: Plugins = None) -> None:
    """Print the JSON Schema of study files, for editors."""
    load_plugins(plugin)
    from hpo.schema import study_schema

    answer(json.dumps(study_schema(), indent=2))


def families(plugin: Plugins = None, as_json: Json = False) -> None:
    """List the families of networks, and the settings of each."""
    load_plugins(plugin)
    from hpo.terminal.tables import family_lines, family_rows

    if as_json:
        headings, rows = family_rows()
        answer_json("families", [dict(zip(headings, row, strict=True)) for row in rows])
        return
    for line in family_lines(get_terminal_size().columns):
        answer(line)


def spaces(
    name: Annotated[str | None, typer.Argument(help="Print this one.")] = None,
    as_json: Json = False,
) -> None:
    """List the shipped studies, or print one."""
    from hpo.spec import find_study_file, shipped_studies
    from hpo.terminal.tables import space_rows

    if name is not None:
        answer(find_study_file(name).read_text(encoding="utf-8"))
        return
    headings, rows = space_rows(shipped_studies())
    if as_json:
        answer_json("spaces", [dict(zip(headings, row, strict=True)) for row in rows])
    else:
        answer_table(headings, rows)


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    plugin: Plugins = None,
    storage: Storage = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Examine machine, storage and records; rebuild a damaged storage from the records."""
    load_plugins(plugin)
    from hpo.doctor import examine
    from hpo.doctor import repair as mend

    done = list(mend(results, storage)) if repair else []
    found = list(examine(results, storage))
    sound = all(one.sound for one in found)
    code = 0 if sound else 5
    if as_json:
        findings = [asdict(one) for one in found]
        answer_json("doctor", {"done": done, "found": findings}, exit_code=code)
    else:
        for line in done:
            answer(line)
        for one in found:
            answer(f"{'ok  ' if one.sound else 'BAD '} {one.what}")
        if not sound:
            say("next: hpo doctor --repair" if not repair else "what is BAD needs your hand")
    if code:
        raise typer.Exit(code)
