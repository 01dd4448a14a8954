"""The command line: every verb by its name, and the exit code of every error."""

import os
import sys
import traceback
from typing import Any

import typer

from hpo.errors import HpoError, UsageError
from hpo.terminal.answer import answer_error
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

app = typer.Typer(
    help="Search the hyperparameters of deep networks: the best config, and the proof of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb in (
    search.init,
    search.check,
    search.run,
    steer.status,
    steer.stop,
    steer.enqueue,
    steer.budget,
    look.best,
    look.list_verb,
    look.show,
    model.train,
    model.evaluate,
    ensemble.ensemble,
    export.export,
    compress.compress,
    model.predict,
    serve.serve,
    prove.compare,
    prove.verify,
    order.trials,
    order.import_verb,
    order.tag,
    order.note,
    order.archive,
    order.delete,
    tell.report,
    tell.advise,
    look.dashboard,
    look.doctor,
    look.schema,
    look.families,
    look.spaces,
):
    app.command(_verb.__name__.removesuffix("_verb"))(_verb)
_data = typer.Typer(help="Look at data before there is a study.", no_args_is_help=True)
_data.command()(data.describe)
app.add_typer(_data, name="data")
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush to
        sys.exit(0)
    except Exception as error:  # noqa: BLE001  (the last border: a bug of ours)
        from hpo.terminal.answer import save_traceback

        place = save_traceback(traceback.format_exc())
        bug = HpoError("", f"a bug of ours: {type(error).__name__}: {error}", f"see {place}")
        answer_error(bug, as_json=as_json)
        sys.exit(1)
