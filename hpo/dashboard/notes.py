"""The note that Optuna's dashboard shows of a study: its best config, links, best trials."""

import re
from collections.abc import Sequence
from itertools import dropwhile

from hpo.dashboard.summaries import Row, Summary
from hpo.errors import HpoError
from hpo.listing import find_trial
from hpo.words import arrow, describe_config, number

TOP = 10
END = "\n\n---\n\n"
"""What stands between our note and what people wrote below it."""
BEST, NONE = "**Best: [trial ", "**No trial is complete yet.**"
DAMAGED = "**best_config.json cannot be read.**"
OPENINGS = (BEST, NONE, DAMAGED)
"""How our notes begin."""
VERSION = "dashboard:note_ver"
PIECE = "dashboard:note_str:"
LONGEST_PIECE = 2045
"""Characters of an attribute that databases take."""


def note_of(summary: Summary, study_id: int) -> str:
    """Return the note, in Markdown; what people named is code in it, and stays text."""
    links = [
        f"[all trials](/hpo/study/{summary.name})",
        f"[report](/hpo/report/{summary.name})",
        f"[TensorBoard](/tb/study/{summary.name}/#timeseries)",
    ]
    lines = [_first(summary, study_id), "", " · ".join(links)]
    top = [row for row in summary.rows if row.rank is not None][:TOP]
    if top:
        lines += ["", *_table(summary, top, study_id)]
    return "\n".join(lines)


def with_written(ours: str, written: str) -> str:
    """Return our note, and below it what people wrote."""
    return ours + END + written if written.strip() else ours


def without_ours(body: str) -> str:
    r"""Return what people wrote, from a note as their browser sends it.

    >>> without_ours("**No trial is complete yet.**\n\n| 1 | 2 |\nmine")
    'mine'
    """
    if not body.startswith(OPENINGS):
        return body
    lines = list(dropwhile(_is_ours, body.splitlines()[1:]))
    return "\n".join(lines).lstrip("\n")


def _is_ours(line: str) -> bool:
    return not line.strip() or line == END.strip() or line.startswith(("[all trials](", "| "))


def attributes_of_note(body: str, version: int) -> dict[str, object]:
    """Return a note as the system attributes that Optuna's dashboard reads."""
    pieces = [body[i : i + LONGEST_PIECE] for i in range(0, len(body), LONGEST_PIECE)]
    return {VERSION: version, **{f"{PIECE}{i}": piece for i, piece in enumerate(pieces)}}


def code(text: str) -> str:
    r"""Return any text as Markdown that shows just that text, in a table too.

    >>> code("a|b"), code("`<b>`")
    ('`a\\|b`', '`` `<b>` ``')
    """
    flat = re.sub(r"\s+", " ", text).strip() or " "
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    room = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{room}{flat}{room}{fence}".replace("|", "\\|")


def _first(summary: Summary, study_id: int) -> str:
    """Return the first line: the best config that keeps to all constraints, and its value."""
    best = summary.best
    if best is None:
        ranked = any(row.rank is not None for row in summary.rows)
        return DAMAGED if ranked else NONE
    trial = best.study["trial"]
    spread = "" if summary.spread is None else f" ±{summary.spread:.2g}"
    seeds = "one seed" if summary.n_seeds == 1 else f"{summary.n_seeds} seeds"
    metric = f"{code(summary.metric)} {arrow(best.metric['direction'])}"
    default = "" if summary.default is None else f", default {number(summary.default)}"
    value = f"{metric} **{number(summary.value)}**{spread} ({seeds}{default})"
    where = f"[its config](/hpo/trial/{summary.name}/{trial})"
    kept = "; it keeps to every constraint" if best.constraints else ""
    return f"**Best: {_trial_link(study_id, trial)}** {value}, {where}{kept}."


def _table(summary: Summary, rows: Sequence[Row], study_id: int) -> list[str]:
    head = ["#", "trial", code(summary.metric), "parameters", "ms", "what"]
    lines = [_line(head), _line(["--:", "--:", "--:", "--:", "--:", ":--"])]
    for row in rows:
        size = "–" if row.n_parameters is None else f"{row.n_parameters:,}"
        latency = "–" if row.latency_ms is None else f"{row.latency_ms:.3g}"
        link = _trial_link(study_id, row.number)
        what = code(what_of(summary, row))
        lines.append(_line([str(row.rank), link, number(row.value), size, latency, what]))
    return lines


def what_of(summary: Summary, row: Row) -> str:
    """Return a trial's config in a few words."""
    try:
        words = describe_config(find_trial(summary.folder, row.number).config)
    except (HpoError, KeyError, TypeError):
        words = ", ".join(f"{name}={value}" for name, value in list(row.params.items())[:4])
    return f"default {words}" if row.notes.startswith("default") else words


def _trial_link(study_id: int, number: int) -> str:
    return f"[trial {number}](/dashboard/studies/{study_id}/trials?numbers={number})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
