"""Options and arguments that several verbs take, and what they load."""

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from hpo.errors import UsageError
from hpo.layout import DEFAULT_RESULTS

_PASSWORD = re.compile(r"://[^/@]*:[^@]+@|[?&](ssl)?password=")


def _without_password(context: typer.Context, url: str | None) -> str | None:
    """Refuse a password in an argument: every user of the machine sees arguments."""
    source = context.get_parameter_source("storage")
    typed = source is not None and source.name == "COMMANDLINE"
    if url is not None and typed:
        refuse_password(url, "--storage", "set HPO_STORAGE to the URL, or ")
    return url


def refuse_password(url: str, where: str, instead: str = "") -> None:
    """Refuse a URL with a password, as it was typed.

    Raises:
        UsageError: if it has one.
    """
    if _PASSWORD.search(url):
        hint = f"{instead}keep the password in PGPASSFILE"
        raise UsageError(where, "a password in an argument is seen by everybody", hint)


Results = Annotated[
    Path, typer.Option("--results", envvar="HPO_RESULTS", help="The folder of all studies.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Fix a setting, or open one; repeatable."),
]
DataSets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="data.path=FILE: where the data are."),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="FILE_OR_MODULE", help="Your own code; repeatable."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar="HPO_STORAGE",
        callback=_without_password,
        help="An Optuna storage; a password comes from HPO_STORAGE or PGPASSFILE.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or folder.")]
StudyFile = Annotated[
    str, typer.Argument(metavar="STUDY_FILE", help="A path, or the name of a shipped study.")
]
RESULTS = Path(DEFAULT_RESULTS)


def typed_results(results: Path) -> str:
    """Return the option that names the folder again, as a shell reads it; empty for the default."""
    return "" if results == RESULTS else f" --results {shlex.quote(str(results))}"


def load(study_file: str, sets: list[str] | None, plugin: list[str] | None) -> Any:
    """Return the study of a file, with its overrides and plugins."""
    from hpo.spec import load_study

    load_plugins(plugin)
    return load_study(study_file, sets or ())


def load_plugins(names: list[str] | None) -> None:
    """Load the plugins of installed packages, then those that were named."""
    from lightning_modules.plugins import load_entry_points, load_plugin

    load_entry_points()
    for name in names or ():
        load_plugin(name)
