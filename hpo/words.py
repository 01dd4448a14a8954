"""How numbers, durations and trials are written for people, the same everywhere."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

if TYPE_CHECKING:  # every command needs words, hardly one needs these
    from hpo.grammar.nodes import Scalar
    from hpo.records import TrialRecord
    from hpo.scheduler import Limits

MARKS = {"complete": "✓", "pruned": "✂", "failed": "✗"}
ASCII_MARKS = {"complete": "+", "pruned": "-", "failed": "x"}
_BARS = "▁▂▃▄▅▆▇█"


def number(value: float | None) -> str:
    """Return a metric with four significant digits.

    >>> number(0.97896), number(123.456), number(None)
    ('0.9790', '123.5', '–')
    """
    if value is None:
        return "–"
    text = f"{value:#.4g}"
    return text.rstrip(".") if "e" not in text else f"{value:.3e}"


def duration(seconds: float) -> str:
    """Return seconds as people say them.

    >>> duration(4.13), duration(192), duration(7500)
    ('4.1s', '3m12s', '2h05m')
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def size_words(n_bytes: int) -> str:
    """Return bytes as people say them.

    >>> size_words(512), size_words(48_300), size_words(2_400_000_000)
    ('512 bytes', '48 kB', '2.4 GB')
    """
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    for unit, size in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if n_bytes < 999.5 * size:
            return f"{n_bytes / size:.{1 if n_bytes < 9.95 * size else 0}f} {unit}"
    return f"{n_bytes / 1e12:.1f} TB"


def short(name: str, cells: int = 18) -> str:
    """Return a name cut to so many cells; an ideograph takes two.

    >>> short("a" * 30, 10), short("b", 10)
    ('aaaaaaaaa…', 'b')
    """
    if cell_len(name) <= cells:
        return name
    kept = ""
    for letter in name:
        if cell_len(kept + letter) > cells - 1:
            break
        kept += letter
    return kept + "…"


def arrow(direction: str) -> str:
    """Return ↑ for a metric to maximize, ↓ for one to minimize."""
    return "↑" if direction == "maximize" else "↓"


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """Return values as a line of bars, the last ``width`` of them.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▅█'
    """
    shown = list(values)[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return _BARS[3] * len(shown)
    return "".join(_BARS[round((v - low) / (high - low) * (len(_BARS) - 1))] for v in shown)


def trial_words(record: "TrialRecord") -> str:
    """Return what became of a trial, in words."""
    what = describe_config(record.config)
    if "default" in record.notes:
        what = f"default {record.config['model']['family']}"
    if record.same_as is not None:
        return f"same config as trial {record.same_as}  {what}"
    if record.state == "pruned" and record.run is not None:
        by_hand = " by hand" if record.run.stopped_by == "user" else ""
        return f"stopped{by_hand} at epoch {record.run.epochs_run:g}  {what}"
    if record.state == "pruned" and record.imported is not None:
        return f"stopped  {what}"
    if record.state == "failed":
        return f"{record.reason}: {record.what}"
    return what


def counts(records: "Sequence[TrialRecord]") -> dict[str, int]:
    """Return how many trials are complete, pruned and failed."""
    found = {"complete": 0, "pruned": 0, "failed": 0}
    for record in records:
        found[record.state] += 1
    return found


def limits_words(limits: "Limits") -> str:
    """Return a total budget.

    >>> from hpo.scheduler import Limits
    >>> limits_words(Limits(trials=20, time_s=600.0))
    '20 trials or 10m00s'
    """
    words = [
        f"{limits.trials} trials" if limits.trials is not None else "",
        f"{limits.epochs:g} epochs" if limits.epochs is not None else "",
        duration(limits.time_s) if limits.time_s is not None else "",
    ]
    return " or ".join(word for word in words if word)


def plain_value(value: object) -> str:
    """Return a parameter's value; numbers with three digits, short of rounding whole ones."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "none" if value is None else str(value)


def params_words(params: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return parameters as pairs of texts, in the order of the file."""
    return [(name, plain_value(value)) for name, value in params.items()]


def describe_config(config: Mapping[str, Any]) -> str:
    """Return a config in a few words: family and size, optimizer and lr."""
    if "model" not in config:  # of an imported trial: its own parameters, nothing is known of them
        return " ".join(f"{k}={_short(v)}" for k, v in config.get("parameters", {}).items())
    model, optimizer = config["model"], config.get("optimizer")
    words = [str(model["family"])]
    if not optimizer:  # a module of the user's own: what its arguments mean is not known
        words += [f"{k}={_short(v)}" for k, v in model.items() if k != "family"]
        return " ".join(words)
    if model.get("layers"):
        words.append("-".join(map(str, model["layers"])))
    elif model.get("n_layers") is not None and model.get("width") is not None:
        words.append(f"{model['n_layers']}×{model['width']}")
    words.append(f"{optimizer['name']} lr {optimizer['lr']:.3g}")
    return " ".join(words)


def _short(value: "Scalar") -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
