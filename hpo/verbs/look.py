"""Verbs that look at what is recorded, or at what there is."""

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.layout import find_study
from hpo.terminal.answer import answer, answer_json, answer_table, say
from hpo.verbs.options import RESULTS, Json, Plugins, Results, Storage, StudyName, load_plugins


def best(
    study: StudyName,
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="Another study, for --diff.")
    ] = None,
    path: Annotated[bool, typer.Option(help="Print the file's path.")] = False,
    get: Annotated[str | None, typer.Option(metavar="PATH", help="One value as JSON.")] = None,
    form: Annotated[
        str | None, typer.Option("--as", metavar="yaml|json|flags|python", help="The config.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="The best N trials.")] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Only what differs from the default, or from OTHER.")
    ] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Print a study's best config."""
    if diff or other is not None:
        if not diff or path or get is not None or form is not None or top is not None:
            what = "OTHER is for --diff alone" if not diff else "--diff prints no other form"
            raise UsageError("", what, f"hpo best {study} --diff" + (f" {other}" if other else ""))
        _difference(study, other, results, as_json=as_json)
        return
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


def _difference(study: str, other: str | None, results: Path, *, as_json: bool) -> None:
    """Print in what the best config differs from the default, or from another study's."""
    from hpo.listing import beside_default, best_side, differing, incomparable
    from hpo.terminal.tables import sides_rows

    folder = find_study(study, results)
    if other is None:
        sides = beside_default(folder)
    else:
        folders = {study: folder, other: find_study(other, results)}
        sides = [best_side(one, label=name) for name, one in folders.items()]
    reasons, found = incomparable(sides), differing(sides)
    if as_json:
        shown = [{"label": s.label, "metric": s.metric, "value": s.value} for s in sides]
        settings = [{"setting": path, "values": values} for path, values in found]
        result = {"sides": shown, "not_comparable": reasons, "settings": settings}
        answer_json("best", result)
        return
    answer_table(*sides_rows(sides, found))
    if reasons:
        say(f"warning: the values are not comparable: {', '.join(reasons)}")
    if other is None:
        say(f"next: hpo evaluate {study} --seeds 5     is the difference luck?")
    else:
        say(f"next: hpo compare {study} {other}     which is better, and how sure is that?")


def list_verb(
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Those that have it.")
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """List all studies."""
    from hpo.order import known_tags, list_with_about
    from hpo.terminal.tables import study_rows

    listed, hidden = list_with_about(results, tags=tag or (), archived=archived)
    lines = [one.line for one in listed]
    if as_json:
        answer_json("list", [one.plain() for one in listed])
        return
    if lines:
        width = get_terminal_size().columns if sys.stdout.isatty() else None
        answer_table(*study_rows(lines, [one.about for one in listed], width))
        for damaged in (one for line in lines for one in line.damaged):
            say(f"warning: {damaged}")
    elif tag and not hidden:
        known = ", ".join(known_tags(results)) or "none"
        say(f"no study in {results}/ has the tag {' and '.join(tag)}; tags: {known}")
    elif not hidden:
        say(f"no study in {results}/; next: hpo run quickstart")
    if hidden:
        word = "study is" if hidden == 1 else "studies are"
        say(f"{hidden} archived {word} left out; hpo list --archived")


def show(
    study: StudyName,
    trials: Annotated[list[int], typer.Argument(metavar="TRIAL…")],
    diff: Annotated[bool, typer.Option(help="Only what differs between the trials.")] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Show trials: config, curve, result."""
    from hpo.choice import chosen_lines
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
        for line in chosen_lines(folder):
            say(f"chosen for all trials: {line}")


def dashboard(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[RESULTS]", help="As --results.", show_default=False)
    ] = None,
    results: Results = RESULTS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Any but this machine's own needs a token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(envvar="HPO_TOKEN", help="What who looks must know; better as HPO_TOKEN."),
    ] = None,
    notes: Annotated[bool, typer.Option("--notes", help="Let notes be written.")] = False,
    tensorboard: Annotated[bool, typer.Option(help="Serve TensorBoard, too.")] = True,
    browser: Annotated[bool, typer.Option("--open", help="Open a browser.")] = False,
    storage: Storage = None,
) -> None:
    """Look at all studies in a browser: our pages, Optuna's dashboard and TensorBoard."""
    import warnings

    from hpo.dashboard import Dashboard, Options

    # Optuna's importances of few trials warn on the terminal; the page is where that is said.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"optuna\.importance")
    options = Options(host=host, port=port, token=token, notes=notes, tensorboard=tensorboard)
    board = Dashboard(folder or results, storage=storage, options=options)
    parts = ["studies, leaderboards, reports", "/dashboard Optuna"]
    answer(f"{board.address}/   {' · '.join([*parts, *['/tb TensorBoard'] * tensorboard])}")
    sys.stdout.flush()
    if token:
        say("open it once as /?token=TOKEN; then a cookie lets you in")
    say("Ctrl-C ends")
    if browser:
        import webbrowser

        webbrowser.open(f"{board.address}/")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        board.close()


def schema(
    what: Annotated[str, typer.Argument(metavar="[study|best-config]")] = "study",
    plugin: Plugins = None,
) -> None:
    """Print the JSON Schema of study files, for editors, or of best_config.json, for readers."""
    load_plugins(plugin)
    from hpo.schema import SCHEMAS
    from lightning_modules.registry import suggest

    if what not in SCHEMAS:
        raise UsageError("schema", f"no schema {what!r}", suggest(what, list(SCHEMAS)))
    answer(json.dumps(SCHEMAS[what](), indent=2))


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
