"""The verb that makes a model file smaller, and says what that costs."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import RESULTS, DataSets, Json, Plugins, Results, load_plugins

Method = Literal["dynamic", "static", "fp16", "prune", "all"]


def compress(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="An .onnx file of hpo export; or a study, run folder or record."
        ),
    ],
    method: Annotated[
        Method, typer.Option(help="int8 two ways, half precision, pruning; all keeps what passes.")
    ] = "all",
    max_drop: Annotated[
        float, typer.Option(min=0, help="How much worse the metric may be, in its own units.")
    ] = 0.01,
    sparsity: Annotated[
        float | None,
        typer.Option(help="With prune: the share that goes, between 0 and 1; default 0.5."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The new file; with all, the folder of new files."),
    ] = None,
    sets: DataSets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Make a model smaller; what gets worse, or no smaller, is refused."""
    from hpo.compress.asking import Ask, check_ask

    ask = Ask(
        model=model,
        results=results,
        method=method,
        max_drop=max_drop,
        sparsity=sparsity,
        output=output,
        overrides=tuple(sets or ()),
    )
    check_ask(ask)
    say("loading torch…")
    load_plugins(plugin)
    from hpo.compress.compress import compress_model
    from hpo.terminal.compressed import compressed_lines

    done = compress_model(ask, tell=say)
    code = 0 if done.kept else 4
    if as_json:
        answer_json("compress", done.plain(), exit_code=code)
    else:
        answer("\n".join(compressed_lines(done)))
    if done.kept:
        best = min(done.kept, key=lambda form: form.size_bytes)
        say(f"next: {shlex.join(['hpo', 'predict', str(best.file), 'INPUT'])}")
    else:
        say(f"{model}: nothing was written; --max-drop says how much worse a form may be")
        raise typer.Exit(code)
