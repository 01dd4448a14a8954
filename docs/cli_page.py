"""docs/reference/cli.md, written from the command line itself."""

import inspect
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from typer.main import get_command

from hpo import errors
from hpo.cli import app

HEAD = """# The command line, verb by verb

<!-- written by make docs -->

`hpo --help` and `hpo VERB --help` say the same in the terminal. The answer of a command goes to
standard output, everything else to standard error. With `--json` the answer is one JSON object; an
error is one too, under `error`, with its exit code. `hpo --install-completion` lets the shell
complete verbs and options.
"""
MORE_CODES = {
    130: "interrupted by Ctrl-C; the same command goes on",
    143: "ended by SIGTERM, or by `hpo stop`; the same command goes on",
}
CODES: dict[str, dict[int, str]] = {
    "run": {
        3: "no trial came to a value, or the first ones failed for the same reason",
        4: "the study exists with another space, data, objective or seed",
        5: "another `hpo run` has the study, the storage is locked, or the disk is full",
        130: "Ctrl-C",
        143: "SIGTERM or `hpo stop`",
    },
    "evaluate": {4: "the data are not those of the study", 130: "Ctrl-C; the same command goes on"},
    "compare": {4: "`--strict` or `--fail-if-worse` says no"},
    "verify": {2: "not all could be checked", 4: "something differs from what is recorded"},
    "doctor": {5: "something is broken"},
    "dashboard": {5: "the port is taken"},
}
"""What an exit code of a verb means beyond the table of all."""


class Parameter(Protocol):
    """An argument or option, as typer keeps it."""

    opts: list[str]
    secondary_opts: list[str]
    metavar: str | None
    help: str | None
    default: Any
    required: bool
    envvar: str | Sequence[str] | None
    nargs: int
    hidden: bool
    param_type_name: str


def cli_page() -> str:
    """Return the page: every verb, grouped by what it is for."""
    groups: dict[str, list[str]] = {}
    for title, name, command in _commands():
        lines = groups.setdefault(title, [])
        lines += ["", *_verb_lines(name, command)]
    parts = [HEAD, *_code_lines()]
    for title, lines in groups.items():
        parts += ["", f"## {title}", *lines]
    return "\n".join(parts) + "\n"


def _commands() -> Iterator[tuple[str, str, Any]]:
    """Yield what a verb is for, its full name and itself, in the order of `hpo --help`."""
    group: Any = get_command(app)
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield command.rich_help_panel, name, command
        for below, one in (inner or {}).items():
            yield command.rich_help_panel, f"{name} {below}", one


def _code_lines() -> list[str]:
    """Return the table of exit codes, from the tree of errors."""
    found: dict[int, str] = {
        0: "done",
        1: "a bug of ours; the traceback is saved, its path printed",
    }
    for name, code, words in re.findall(r"(\w+) +(\d)   (.+)$", errors.__doc__ or "", re.M):
        if name in ("UsageError", "StudyError", "RefusedError", "EnvironmentFault"):
            found[int(code)] = words
    found |= MORE_CODES
    rows = [f"| {code} | {words} |" for code, words in found.items()]
    return ["## Exit codes", "", "| code | when |", "|---|---|", *rows]


def _verb_lines(name: str, command: Any) -> list[str]:
    shown: list[Parameter] = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    synopsis = " ".join(["hpo", name, *map(_place, arguments), *["[OPTIONS]"] * bool(options)])
    lines = [f"### hpo {name}", "", inspect.cleandoc(command.help or ""), ""]
    lines += ["```", synopsis, "```"]
    rows = [[f"`{_bare(one)}`", _said(one)] for one in arguments]
    rows += [[_spelled(one), _said(one)] for one in options]
    if rows:
        lines += ["", "| argument, option | what |", "|---|---|"]
        lines += [f"| {left} | {right} |" for left, right in rows]
    codes = [f"{code}: {what}" for code, what in CODES.get(name, {}).items()]
    if codes:
        lines += ["", f"Exit codes of its own: {'; '.join(codes)}."]
    return lines


def _bare(one: Parameter) -> str:
    """Return the name of an argument, without what says that it may be left out."""
    return (one.metavar or one.opts[0].upper()).strip("[]")


def _place(one: Parameter) -> str:
    """Return an argument as it stands in the synopsis."""
    name = _bare(one) if one.nargs == 1 or "…" in _bare(one) else f"{_bare(one)}…"
    return name if one.required else f"[{name}]"


def _spelled(one: Parameter) -> str:
    """Return an option as it is typed."""
    spelled = [f"`{name}`" for name in [*one.opts, *one.secondary_opts]]
    value = _value(one)
    return ", ".join(spelled) + (f" `{value}`" if value else "")


def _value(one: Any) -> str:
    """Return what follows an option; nothing follows a switch."""
    if one.is_flag:
        return ""
    if one.metavar:
        return str(one.metavar).replace("|", "\\|")
    kind = one.type_descriptor
    if kind.is_choice:
        return "\\|".join(str(getattr(choice, "value", choice)) for choice in kind.choices or ())
    annotation = kind.annotation
    known = {int: "N", float: "NUMBER", Path: "PATH"}
    return known.get(annotation, "PATH" if kind.is_path else "TEXT")


def _said(one: Any) -> str:
    """Return what an argument or option means, its default and where else it may come from."""
    words = [(one.help or _SILENT.get(_bare(one), "")).replace("|", "\\|")]
    default = _default(one)
    if default and default not in words[0]:
        words.append(f"Default: `{default}`.")
    if one.min is not None:
        words.append(f"At least {one.min}.")
    if one.max is not None:
        words.append(f"At most {one.max}.")
    if one.envvar:
        words.append(f"Also from the environment: `{one.envvar}`.")
    return " ".join(word for word in words if word)


_SILENT = {
    "TRIAL…": "Numbers of trials.",
    "study|best-config": "Which schema.",
    "-o": "The file to write.",
}


def _default(one: Any) -> str:
    value = one.default
    if value is None or value is ... or isinstance(value, bool) or callable(value):
        return ""
    return str(value.value if isinstance(value, Enum) else value)
