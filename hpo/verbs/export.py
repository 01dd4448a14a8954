"""The verb that makes one file of a trained model."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo.terminal.answer import answer, answer_json, say
from hpo.verbs.options import RESULTS, DataSets, Json, Plugins, Results, load_plugins

Format = Literal["onnx", "pt2"]


def export(
    best: Annotated[
        str,
        typer.Argument(
            metavar="BEST", help="A best_config.json, ensemble.json, run folder or study."
        ),
    ],
    form: Annotated[
        Format | None,
        typer.Option("--format", help="onnx (default) for onnxruntime, pt2 for torch."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file; default: the study's name, beside BEST."),
    ] = None,
    trial: Annotated[
        int | None, typer.Option(min=0, help="Of a study, this trial instead of the best.")
    ] = None,
    sets: DataSets = None,
    plugin: Plugins = None,
    results: Results = RESULTS,
    as_json: Json = False,
) -> None:
    """Make one file of a trained model, preparation inside; compared before it is written."""
    say("loading torch…")
    load_plugins(plugin)
    from hpo.export.export import Wanted
    from hpo.export.export import export as export_model
    from hpo.words import size_words

    wanted = Wanted(
        form=form,
        output=output,
        trial=trial,
        sets=tuple(sets or ()),
    )
    done = export_model(best, wanted, results=results, say=say)
    if as_json:
        result = {
            "file": str(done.file),
            "card": str(done.card),
            "sha256": done.sha256,
            "bytes": done.size,
            "compared_rows": done.compared.n_rows,
            "largest_difference": done.compared.difference,
            "inputs": [one.model_dump(mode="json") for one in done.manifest.inputs],
            "outputs": [one.model_dump(mode="json") for one in done.manifest.outputs],
        }
        answer_json("export", result)
        return
    say(done.sentence)
    say(f"{done.file}: {size_words(done.size)}, with its preparation; what it is: {done.card}")
    place = shlex.quote(str(done.file))
    say(f"next: hpo predict {place} INPUT")
    if done.file.suffix != ".pt2":
        say(f"      hpo serve {place}")
    answer(str(done.file))
