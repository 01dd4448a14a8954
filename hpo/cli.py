"""The command line: every verb by its name, and the exit code of every error."""

import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hpo.errors import HpoError, UsageError
from hpo.terminal.answer import answer, answer_error, leave_standard_output
from hpo.verbs import (
    compress,
    data,
    ensemble,
    export,
    look,
    model,
    order,
    prove,
    search,
    serve,
    steer,
    tell,
)

VERBS: dict[str, Sequence[Callable[..., None]]] = {
    "Search": (search.init, search.check, search.run),
    "Steer a running study": (steer.status, steer.stop, steer.enqueue, steer.budget),
    "Look": (
        look.list_verb,
        look.best,
        look.show,
        order.trials,
        look.dashboard,
        tell.report,
        tell.advise,
    ),
    "Prove": (model.evaluate, prove.compare, prove.verify),
    "From the best config to production": (
        model.train,
        ensemble.ensemble,
        export.export,
        compress.compress,
        model.predict,
        serve.serve,
    ),
    "Keep studies in order": (
        order.tag,
        order.note,
        order.archive,
        order.delete,
        order.import_verb,
    ),
    "Know what there is": (look.families, look.spaces, look.schema, look.doctor),
}
"""What verbs are for, in the order of help and reference."""


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        answer(f"hpo {metadata.version('hpo')}")
        raise typer.Exit


class _Sections(TyperGroup):
    """Help whose verbs stand under what they are for, each with its whole sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group."""
        commands: dict[str, Any] = dict(self.commands)
        width = max(map(len, commands))
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in commands.items():
            sentence = inspect.cleandoc(command.help or "").partition("\n\n")[0]
            rows = groups.setdefault(str(command.rich_help_panel), [])
            rows.append((name.ljust(width), " ".join(sentence.split())))
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


app = typer.Typer(
    cls=_Sections,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _start(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version."),
    ] = False,
) -> None:
    """Search the hyperparameters of deep networks: the best config, and the proof of it."""


for _title, _verbs in VERBS.items():
    for _verb in _verbs:
        app.command(_verb.__name__.removesuffix("_verb"), rich_help_panel=_title)(_verb)
_data = typer.Typer(help="Look at data before there is a study.", no_args_is_help=True)
_data.command()(data.describe)
app.add_typer(_data, name="data", rich_help_panel="Know what there is")
_WRONG_CALL: Any = typer.BadParameter.__mro__[1]
"""Click's UsageError: an option or argument that the command line does not take."""


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
        leave_standard_output()
        sys.exit(0)
    except Exception as error:  # noqa: BLE001  (the last border: a bug of ours)
        from hpo.terminal.answer import save_traceback

        place = save_traceback(traceback.format_exc())
        bug = HpoError("", f"a bug of ours: {type(error).__name__}: {error}", f"see {place}")
        answer_error(bug, as_json=as_json)
        sys.exit(1)
