"""The command line: one short function per verb, which imports its verb's module inside it."""

import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo.answer import answer, answer_error, answer_json, answer_table, say
from hpo.errors import HpoError, UsageError
from hpo.layout import DEFAULT_RESULTS, find_study

app = typer.Typer(
    help="Search the hyperparameters of deep networks: the best config, and the proof of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Results = Annotated[
    Path, typer.Option("--results", envvar="HPO_RESULTS", help="The folder of all studies.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Fix a setting, or open one; repeatable."),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="FILE_OR_MODULE", help="Your own code; repeatable."),
]
Storage = Annotated[
    str | None,
    typer.Option("--storage", metavar="URL", envvar="HPO_STORAGE", help="An Optuna storage."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or folder.")]
StudyFile = Annotated[
    str, typer.Argument(metavar="STUDY_FILE", help="A path, or the name of a shipped study.")
]
RESULTS = Path(DEFAULT_RESULTS)
_WRONG_CALL: Any = typer.BadParameter.__mro__[1]
"""Click's UsageError: an option or argument that the command line does not take."""


@app.command()
def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A CSV file or a folder.")],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("study.yaml"),
) -> None:
    """Look at a CSV or a folder of images and write a study file for it."""
    from hpo.init import draft_study, write_draft

    write_draft(draft_study(data, target=target, name=name), output)
    answer(str(output))
    say(f"next: hpo check {output}     see what it would try")
    say("      hpo run" + ("" if str(output) == "study.yaml" else f" {output}"))


@app.command()
def check(
    study_file: StudyFile = "study.yaml",
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Validate a study, show three of its configs, train one batch of every family."""
    spec = _load(study_file, sets, plugin)
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
        say(f"next: hpo run {study_file}")


@app.command()
def run(
    study_file: StudyFile = "study.yaml",
    sets: Sets = None,
    trials: Annotated[int | None, typer.Option(help="Same as --set budget.trials=N.")] = None,
    time: Annotated[str | None, typer.Option(help="Same as --set budget.time=10m.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set search.seed=N.")] = None,
    name: Annotated[str | None, typer.Option(help="Same as --set name=NAME.")] = None,
    plugin: Plugins = None,
    storage: Storage = None,
    results: Results = RESULTS,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Trials at once; default: cores / threads. 0: this process."),
    ] = None,
    allow_change: Annotated[
        bool, typer.Option(help="Resume with other settings all the same; recorded.")
    ] = False,
    plain: Annotated[bool, typer.Option(help="Lines instead of a live view.")] = False,
    quiet: Annotated[bool, typer.Option(help="Print nothing but the answer.")] = False,
    events: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Write events as JSON Lines.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Search: create a study or go on with it, up to its total budget. Prints the best config."""
    if as_json and events == "-":
        raise UsageError("", "--json and --events - both write the answer", "--events FILE")
    shorthands = {"budget.trials": trials, "budget.time": time, "search.seed": seed, "name": name}
    short = [f"{path}={value}" for path, value in shorthands.items() if value is not None]
    if not quiet:
        say("loading torch…")
    spec = _load(study_file, [*(sets or []), *short], plugin)
    from hpo.running import Terminal, run_in_terminal

    terminal = Terminal(
        plain=plain,
        quiet=quiet or as_json,
        answers=not as_json and events != "-",
        events=events,
        command=_again(study_file),
    )
    outcome = run_in_terminal(
        spec, results, terminal, storage=storage, workers=workers, allow_change=allow_change
    )
    code = 0 if outcome.signal is None else 128 + outcome.signal
    if outcome.signal is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a late Ctrl-C has nothing left to stop
    best = outcome.folder.best_config
    if as_json:
        record = json.loads(best.read_text(encoding="utf-8")) if best.exists() else None
        answer_json("run", {"path": str(best), "best": record}, exit_code=code)
    if code:
        raise typer.Exit(code)


@app.command()
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
    from hpo.tables import best_lines, trial_rows

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
        say(f"next: hpo train {folder.best_config}     train it again")


@app.command("list")
def list_verb(results: Results = RESULTS, as_json: Json = False) -> None:
    """List all studies."""
    from hpo.listing import list_studies
    from hpo.tables import study_rows

    lines = list_studies(results)
    if as_json:
        answer_json("list", [asdict(line) for line in lines])
    elif lines:
        answer_table(*study_rows(lines))
    else:
        say(f"no study in {results}/; next: hpo run quickstart")


@app.command()
def show(
    study: StudyName,
    trials: Annotated[list[int], typer.Argument(metavar="TRIAL…")],
    diff: Annotated[bool, typer.Option(help="Only what differs between the trials.")] = False,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Show trials: config, curve, result."""
    from hpo.listing import curve, differing, find_trial
    from hpo.tables import difference_rows, trial_lines

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


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="best_config.json, or YAML.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The run's folder.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same as --set seed=N.")] = None,
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Train one config, as a record holds it."""
    say("loading torch…")
    _load_plugins(plugin)
    from hpo.retrain import retrain
    from hpo.tables import retrained_lines

    overrides = [*(sets or []), *([] if seed is None else [f"seed={seed}"])]
    done = retrain(config, output, overrides=overrides)
    if as_json:
        result = {"folder": str(done.folder), "recorded": done.recorded, **done.result.plain()}
        answer_json("train", result)
        return
    for line in retrained_lines(done):
        say(line)
    answer(str(done.folder))


@app.command()
def evaluate(
    study: StudyName,
    test: Annotated[bool, typer.Option("--test", help="Open the test split; counted.")] = False,
    sets: Sets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Measure a study's best checkpoint on validation, or on the test split."""
    say("loading torch…")
    _load_plugins(plugin)
    from hpo.evaluate import evaluate_study
    from hpo.tables import evaluation_lines

    folder = find_study(study, results)
    done = evaluate_study(folder, test=test, overrides=tuple(sets or ()))
    if as_json:
        answer_json("evaluate", asdict(done))
    else:
        answer("\n".join(evaluation_lines(done)))


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or best config.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="CSV, NPY, NPZ, or -.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="A CSV file.")] = None,
    probabilities: Annotated[bool, typer.Option(help="One column per class too.")] = False,
    plugin: Plugins = None,
) -> None:
    """Predict rows with a trained model; CSV out."""
    _load_plugins(plugin)
    from hpo.predict import write_predictions

    write_predictions(model, Path(source), output or sys.stdout, probabilities=probabilities)


@app.command()
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


@app.command()
def schema(plugin: Plugins = None) -> None:
    """Print the JSON Schema of study files, for editors."""
    _load_plugins(plugin)
    from hpo.schema import study_schema

    answer(json.dumps(study_schema(), indent=2))


@app.command()
def families(plugin: Plugins = None, as_json: Json = False) -> None:
    """List the families of networks, and the settings of each."""
    _load_plugins(plugin)
    from hpo.tables import family_rows

    headings, rows = family_rows()
    if as_json:
        answer_json("families", [dict(zip(headings, row, strict=True)) for row in rows])
    else:
        answer_table(headings, rows)


@app.command()
def spaces(
    name: Annotated[str | None, typer.Argument(help="Print this one.")] = None,
    as_json: Json = False,
) -> None:
    """List the shipped studies, or print one."""
    from hpo.spec import find_study_file, shipped_studies
    from hpo.tables import space_rows

    if name is not None:
        answer(find_study_file(name).read_text(encoding="utf-8"))
        return
    headings, rows = space_rows(shipped_studies())
    if as_json:
        answer_json("spaces", [dict(zip(headings, row, strict=True)) for row in rows])
    else:
        answer_table(headings, rows)


def _load(study_file: str, sets: list[str] | None, plugin: list[str] | None) -> Any:
    from hpo.spec import load_study

    _load_plugins(plugin)
    return load_study(study_file, sets or ())


def _load_plugins(names: list[str] | None) -> None:
    from lightning_modules.plugins import load_entry_points, load_plugin

    load_entry_points()
    for name in names or ():
        load_plugin(name)


def _again(study_file: str) -> str:
    """Return the command that resumes: the one that was typed."""
    import shlex

    return "hpo " + shlex.join(sys.argv[1:]) if len(sys.argv) > 1 else f"hpo run {study_file}"


def main() -> None:
    """Run the command line; exit codes: see `hpo.errors`."""
    as_json = "--json" in sys.argv
    try:
        code = app(prog_name="hpo", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except HpoError as error:
        answer_error(error, as_json=as_json)
        sys.exit(error.exit_code)
    except _WRONG_CALL as error:
        if as_json:
            hint = f"{error.ctx.command_path if error.ctx else 'hpo'} --help"
            answer_error(UsageError("", error.format_message(), hint), as_json=True)
        else:
            error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush to
        sys.exit(0)
    except Exception as error:  # noqa: BLE001  (the last border: a bug of ours)
        from hpo.answer import save_traceback

        place = save_traceback(traceback.format_exc())
        bug = HpoError("", f"a bug of ours: {type(error).__name__}: {error}", f"see {place}")
        answer_error(bug, as_json=as_json)
        sys.exit(1)
