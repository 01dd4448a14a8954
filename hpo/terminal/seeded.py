"""What `hpo evaluate STUDY --seeds N` found: the numbers, and what they mean in words."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hpo.reseed.adopting import spread_words
from hpo.reseed.evaluation import Reseeded
from hpo.seeds import SeedsRecord
from hpo.statistics import Interval
from hpo.words import arrow, number


def seeded_lines(done: Reseeded, record: SeedsRecord) -> list[str]:
    """Return what an evaluation found: the numbers, then what they mean."""
    head = f"{record.study}: {record.metric} {arrow(record.direction)} on validation, "
    lines = [head + f"{len(record.seeds)} fresh seeds", *_table(record)]
    lines += ["", *_meaning(record), *_test_lines(record, done.opened)]
    lines += [*_choice_lines(done, record), *_failure_lines(record)]
    megabytes = done.kept_bytes / 1e6
    kept = f"kept: {done.total} runs, {megabytes:,.1f} MB in {done.folder.evaluation / 'seeds'}"
    return [*lines, kept]


def _table(record: SeedsRecord) -> list[str]:
    rows = []
    for config in record.configs:
        name = f"trial {config.trial}" + (" (default)" if config.is_default else "")
        chosen = config.trial == record.chosen
        interval = record.worth if chosen and record.worth else config.interval
        row = [name, f"× {len(config.values)}", spread_words(config), _ends(interval)]
        row.append(f"search {number(config.search_value)}")
        row.append(f"test {_mean(config.test_values)}" if config.test_values else "")
        rows.append([*row, "← best" if chosen else ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _mean(values: Sequence[float]) -> str:
    return number(math.fsum(values) / len(values))


def _ends(interval: Interval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return "(one seed: no interval)"
    return f"(95 % {number(interval.low)}–{number(interval.high)})"


def _meaning(record: SeedsRecord) -> list[str]:
    """Return the gain over the default and the optimism of the search, in words."""
    lines, gain, optimism = _luck_lines(record), record.gain, record.optimism
    scale = record.worth.mean if record.worth else 1.0
    if gain is not None:
        named = "the best other config" if _default_chosen(record) else f"trial {record.chosen}"
        lines.append(f"{named} {_compared(gain, scale, record.direction)}")
    if optimism is not None:
        lines.append(_optimism(optimism, scale, record))
    return lines


def _luck_lines(record: SeedsRecord) -> list[str]:
    """Return what the chosen config counts as, where that is not its own mean."""
    own = record.config(record.chosen)
    if record.worth is None or own is None or own.interval is None:
        return []
    if math.isclose(own.interval.mean, record.worth.mean, rel_tol=1e-9):
        return []
    text = (
        "the best of several means is partly luck; with each seed judged by what the others choose"
    )
    return [f"{text}, trial {record.chosen} counts as {number(record.worth.mean)}"]


def _default_chosen(record: SeedsRecord) -> bool:
    return record.default is not None and record.default.trial == record.chosen


def _towards(interval: Interval, direction: str) -> Interval:
    """Return a difference so that more of it is better."""
    if direction == "maximize":
        return interval
    low, high = interval.low, interval.high
    return replace(
        interval,
        mean=-interval.mean,
        low=None if high is None else -high,
        high=None if low is None else -low,
    )


def _size_words(interval: Interval, scale: float) -> str:
    """Return a difference that counts upwards without its sign, and its interval likewise."""
    sign = 1 if interval.mean >= 0 else -1
    text = _size(abs(interval.mean), scale)
    if interval.low is None or interval.high is None:
        return text
    ends = sorted((sign * interval.low, sign * interval.high))
    return f"{text} [{_size(ends[0], scale)}, {_size(ends[1], scale)}]"


def _compared(gain: Interval, scale: float, direction: str) -> str:
    better = _towards(gain, direction)
    word = "is better" if better.mean >= 0 else "is worse"
    text = f"{word} than the default by {_size_words(better, scale)}"
    if gain.low is None or gain.high is None:
        return f"{text}: one seed tells no luck from merit"
    text += f", paired over {gain.n} seeds"
    if gain.low <= 0 <= gain.high:
        return f"{text}: the luck of seeds alone could do that"
    return f"{text}: more than the luck of seeds"


def _optimism(optimism: Interval, scale: float, record: SeedsRecord) -> str:
    config = record.config(record.chosen)
    seen = number(config.search_value if config else None)
    found = _towards(optimism, record.direction)
    word = "optimistic" if found.mean >= 0 else "pessimistic"
    whose = "the default's" if _default_chosen(record) else "its"
    return f"{whose} search value {seen} was {_size_words(found, scale)} {word}"


def _test_lines(record: SeedsRecord, opened: int | None) -> list[str]:
    gain, rows = record.gain_test, record.gain_test_rows
    head = "on the test split" + ("" if opened is None else f", opened {_times(opened)},")
    if gain is None:
        return [] if opened is None else [f"{head} there is no gain to tell"]
    scale = record.worth.mean if record.worth else 1.0
    named = "the best other config" if _default_chosen(record) else "it"
    lines = [f"{head} {named} {_compared(gain, scale, record.direction)}"]
    if rows is not None and rows.low is not None and rows.high is not None:
        ends = sorted((rows.low, rows.high))
        text = f"  for rows never seen: {_signed(rows.mean, scale)}"
        lines.append(
            text + f" [{_signed(ends[0], scale)}, {_signed(ends[1], scale)}]"
            " with the chance in the test rows"
        )
    return lines


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times by now"


def _choice_lines(done: Reseeded, record: SeedsRecord) -> list[str]:
    trial, before = record.chosen, done.best_before
    head = f"best_config.json stays trial {trial}"
    if before != trial:
        head = f"best_config.json is trial {trial} now; it was trial {before}"
    return [f"{head}:", f"  {record.why}"]


def _failure_lines(record: SeedsRecord) -> list[str]:
    return [
        f"✗ trial {config.trial} seed {run.seed}: {run.failed} ({run.folder})"
        for config in record.configs
        for run in config.failures
    ]


def next_lines(record: SeedsRecord, place: str, plugins: str) -> list[str]:
    """Return the next commands.

    Args:
        record: what was found.
        place: ``--results``, where it is not the default, a blank before it.
        plugins: ``--plugin``, likewise.
    """
    commands = {f"hpo report {record.study}{place}": "look at it"}
    if any(len(config.test_values) < len(config.values) for config in record.configs):
        top = sum(not config.is_default for config in record.configs)
        ask = f" --top {top}" if top > 1 else ""
        ask += f" --seeds {len(record.seeds)} --test"
        first = f"hpo evaluate {record.study}{ask}{place}{plugins}"
        commands = {first: "what is it worth on rows never touched?", **commands}
    width = max(map(len, commands)) + 4
    lines = [f"      {command:<{width}}{why}" for command, why in commands.items()]
    return ["next: " + lines[0].lstrip(), *lines[1:]]


def _size(value: float, scale: float) -> str:
    return f"{value:.{_decimals(scale)}f}"


def _signed(value: float, scale: float) -> str:
    return f"{value:+.{_decimals(scale)}f}"


def _decimals(scale: float) -> int:
    """Return the digits after the point that a metric of this size is written with."""
    return 4 if not scale else min(max(3 - math.floor(math.log10(abs(scale))), 0), 12)


def plain_answer(done: Reseeded, record: SeedsRecord) -> dict[str, Any]:
    """Return the answer of ``--json``."""
    return {
        **record.plain(),
        "best_before": done.best_before,
        "trained": done.trained,
        "kept_bytes": done.kept_bytes,
        "opened": done.opened,
    }
