"""Verbs that use one config: train it again, measure it, predict with it."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.layout import StudyFolder, find_study
from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import (
    RESULTS,
    Json,
    Plugins,
    Results,
    Sets,
    StudyName,
    load_plugins,
    typed_results,
)


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
    load_plugins(plugin)
    from hpo.retrain import retrain
    from hpo.terminal.tables import retrained_lines

    overrides = [*(sets or []), *([] if seed is None else [f"seed={seed}"])]
    done = retrain(config, output, overrides=overrides)
    if as_json:
        result = {
            "folder": str(done.folder),
            "recorded": done.recorded,
            "data_changed": done.changed,
            **done.result.plain(),
        }
        answer_json("train", result)
        return
    for line in retrained_lines(done):
        say(line)
    answer(str(done.folder))


def evaluate(
    study: StudyName,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Train the best config and the default again, with N fresh seeds."
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="K", help="With --seeds: of the K best configs, which is best."),
    ] = None,
    first_seed: Annotated[
        int | None,
        typer.Option(min=0, help="With --seeds: other seeds, from this one on; default 0."),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Open the test split; counted.")] = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="With --test: the ensemble beside the single best.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Runs at once, as in hpo run; 0: this process.")
    ] = None,
    sets: Sets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Measure a study's best checkpoint; with --seeds, whether it was luck."""
    for option, given in (("--top", top), ("--first-seed", first_seed), ("--workers", workers)):
        if seeds is None and given is not None:
            raise UsageError(option, "goes with fresh seeds", f"hpo evaluate {study} --seeds 5")
    if ensemble and (seeds is not None or not test):
        hint = f"hpo evaluate {study} --ensemble --test"
        raise UsageError("--ensemble", "goes with --test, and without --seeds", hint)
    say("loading torch…")
    load_plugins(plugin)
    folder = find_study(study, results)
    overrides = tuple(sets or ())
    if ensemble:
        _evaluate_ensemble(folder, overrides, as_json=as_json)
        return
    if seeds is not None:
        from hpo.reseed.evaluation import Ask
        from hpo.terminal.seeding import Call, evaluate_in_terminal

        ask = Ask(top=1 if top is None else top, seeds=seeds, test=test, first=first_seed or 0)
        call = Call(
            workers=workers,
            overrides=overrides,
            place=typed_results(results),
            plugins="".join(f" --plugin {shlex.quote(name)}" for name in plugin or ()),
            as_json=as_json,
        )
        code = evaluate_in_terminal(folder, ask, call)
        if code:
            raise typer.Exit(code)
        return
    from hpo.evaluate import evaluate_study
    from hpo.terminal.tables import evaluation_lines

    done = evaluate_study(folder, test=test, overrides=overrides)
    if as_json:
        answer_json("evaluate", done.plain())
        return
    answer("\n".join(evaluation_lines(done)))
    pictures = ", ".join(done.figures.values())
    written = folder.evaluated(done.split)
    answer(f"\n{written}" + (f"; beside it {pictures}" if pictures else ""))


def _evaluate_ensemble(folder: StudyFolder, overrides: tuple[str, ...], *, as_json: bool) -> None:
    from hpo.ensemble.opening import evaluate_ensemble
    from hpo.terminal.ensembled import tested_lines

    done = evaluate_ensemble(folder, overrides)
    if as_json:
        answer_json("evaluate", done.model_dump(mode="json", by_alias=True))
        return
    answer("\n".join([*tested_lines(done), str(folder.evaluated("ensemble"))]))


def predict(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A study, run folder, best config, ensemble.json, .onnx or .pt2."
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="CSV, Parquet, NPY, NPZ, image folder, or - for CSV on stdin."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .csv, .jsonl or .parquet file; default: CSV out."),
    ] = None,
    probabilities: Annotated[bool, typer.Option(help="One column per class or label too.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Copy a column of the input through; repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option(help="Print nothing but the answer.")] = False,
    results: Results = RESULTS,
    plugin: Plugins = None,
) -> None:
    """Predict rows with a trained model, a piece of the input at a time."""
    if not quiet and model.suffix.lower() != ".onnx":
        say("loading torch…")
    load_plugins(plugin)
    from hpo.predict.stream import Wanted, write_predictions
    from hpo.terminal.predicting import ended_tidily, progress_of_rows, standard_output

    if not model.exists() and (results / model).is_dir():
        model = results / model
    elif not model.exists() and not model.suffix and len(model.parts) == 1:
        model = find_study(str(model), results).path
    place = standard_output() if output is None else nullcontext(output)
    with (
        ended_tidily(),
        place as to,
        progress_of_rows(quiet=quiet, to_terminal=output is None) as progress,
    ):
        wanted = Wanted(probabilities=probabilities, keep=keep or (), told=progress.told)
        write_predictions(model, Path(source), to, wanted)
