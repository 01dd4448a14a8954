"""Verbs that keep order: tags, notes, what is put away or deleted; what goes out, what comes in."""

import sys
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.layout import find_study
from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import RESULTS, Json, Results, Storage, StudyName, refuse_password


def tag(
    study: StudyName,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="TAG…", help="Tags to add; none shows them.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Take it off; repeatable.")
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Give a study tags, or take them off; `hpo list --tag TAG` shows those that have it."""
    from hpo.order import change_tags, read_about

    folder = find_study(study, results)
    changes = bool(tags or remove)
    about = change_tags(folder, tags or (), remove or ()) if changes else read_about(folder)
    if as_json:
        answer_json("tag", {"study": folder.name, "tags": about.tags})
    elif about.tags:
        answer(" ".join(about.tags))
    else:
        say(f"{folder.name} has no tags; next: hpo tag {folder.name} baseline")


def note(
    study: StudyName,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help='- reads it; "" removes the note.')
    ] = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Write a note on a study, in the place of the one before; without TEXT, show it."""
    from hpo.order import read_about, set_note

    folder = find_study(study, results)
    if text is not None:
        before = set_note(folder, sys.stdin.read() if text == "-" else text).note
    about = read_about(folder)
    if as_json:
        answer_json("note", {"study": folder.name, "note": about.note})
        return
    if text is not None and before and before != about.note:
        say(f"before: {before}")
    if about.note:
        answer(about.note)
    else:
        say(f'{folder.name} has no note; next: hpo note {folder.name} "what it is about"')


def archive(
    study: StudyName,
    undo: Annotated[bool, typer.Option("--undo", help="Take it out of the archive.")] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Put a study away: lists leave it out, its cache goes, everything else stays."""
    from hpo.order import archive as put_away
    from hpo.order import read_about, unarchive
    from hpo.words import size_words

    folder = find_study(study, results)
    freed = 0
    if undo:
        unarchive(folder)
    else:
        freed = put_away(folder)
    if as_json:
        told = {"study": folder.name, "archived_utc": read_about(folder).archived_utc}
        answer_json("archive", {**told, "freed_bytes": freed})
    elif undo:
        answer(f"{folder.name} is listed again")
    else:
        room = f", {size_words(freed)} of cache deleted" if freed else ""
        answer(f"{folder.name} is archived{room}")
        say(f"next: hpo list --archived     hpo archive {folder.name} --undo")


def delete(
    study: StudyName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    storage: Storage = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Delete a study for good: its folder, and its trials in the storage."""
    from hpo.remove import delete_study, find_doomed
    from hpo.words import size_words

    doomed = find_doomed(study, results, storage)
    trials = f"{doomed.trials:,} trial{'' if doomed.trials == 1 else 's'}"
    what = f"{doomed.name}: {trials}, {size_words(doomed.size_bytes)} on disk"
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError("hpo delete", f"asks before it deletes ({what})", "--yes does not ask")
        if not typer.confirm(f"{what}. Delete it for good?", err=True):
            say("nothing was deleted")
            return
    done = delete_study(doomed)
    if as_json:
        answer_json("delete", asdict(done))
        return
    answer(f"deleted {what}")
    if done.trials and done.stored_trials is None:
        say("its trials were in no storage there; if another has them, delete again --storage URL")


def trials(
    study: StudyName,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, safe in a spreadsheet.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="As Parquet; needs -o.")] = False,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file; .csv, .parquet, .json say how.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="complete, pruned or failed; repeatable.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="The best N, best first.")] = None,
    results: Results = RESULTS,
) -> None:
    """Print every trial as a table: what became of it, what it cost, every parameter."""
    from hpo.listing import objective_of
    from hpo.records import read_trials
    from hpo.terminal.tables import trial_table_lines
    from hpo.trials import check_states, export, select, table_of, write_csv
    from hpo.trials import form as form_of

    form = form_of(output, csv=csv, parquet=parquet, as_json=as_json)
    states = check_states(state or ())
    folder = find_study(study, results)
    every = read_trials(folder)
    direction = str(objective_of(every)[1])
    records = select(every, states=states, top=top, direction=direction)
    if form is None:
        width = get_terminal_size((80, 24)).columns
        answer("\n".join(trial_table_lines(records, width, whole=top is not None)))
        say(f"next: hpo trials {study} -o trials.csv     every column")
    elif output is not None:
        export(table_of(records), form, output)
        answer(str(output))
    elif form == "json":
        answer_json("trials", list(table_of(records).rows()))
    else:
        write_csv(table_of(records), sys.stdout)


def import_verb(
    source: Annotated[str, typer.Argument(metavar="STORAGE", help="sqlite:///OLD.db, or a file.")],
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="Its name, where there are several.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The new study's name.")] = None,
    objective: Annotated[
        str | None, typer.Option(help="Which of several; or how the only one is called.")
    ] = None,
    storage: Storage = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Import a study that Optuna ran: to look at and to compare; the old storage is only read."""
    from hpo.import_optuna import import_study
    from hpo.logs import log_to
    from hpo.storage.reading import read_study
    from hpo.terminal.tables import imported_lines

    refuse_password(source, "STORAGE")
    with log_to(None):
        old = read_study(source, study)
        done = import_study(old, results, name=name, objective=objective, storage=storage)
    if as_json:
        answer_json("import", done.plain())
        return
    answer("\n".join(imported_lines(done)))
    say(f"next: hpo trials {done.folder.name} --top 5")
