"""What came of the attempt to make a model smaller: forms beside the original; no torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

METHODS = ("dynamic", "static", "fp16", "prune")
NAMES = {
    "dynamic": "dynamic-int8",
    "static": "static-int8",
    "fp16": "fp16",
    "prune": "pruned",
}
"""What a form is called in its manifest and in the name of its file."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds of one call: half of them took no longer, and 99 in 100."""

    p50_ms: float
    p99_ms: float
    calls: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """A metric of the same rows before and after, and of the difference an interval."""

    before: float
    after: float
    difference: float
    """After minus before."""
    ci95: list[float]
    """Of the difference, over resamples of the rows, both forms of each row together."""
    after_ci95: list[float] | None
    largest: float
    """The largest change of any output: of a probability, or of a number in its own units."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of the model; the original is the first."""

    name: str
    size_bytes: int
    gzip_bytes: int
    """Of the whole file, once gzip has compressed it."""
    one: Latency
    """Of a call with 1 row."""
    many: Latency
    """Of a call with 64 rows."""
    value: float | None
    """The metric; None where an output is no finite number."""
    change: Change | None
    """Against the original; None of that itself, and where there is no value."""
    kept: bool
    words: str
    """Whether it is kept, and why."""
    file: str | None
    """Where it was written."""


@dataclass(frozen=True, kw_only=True)
class Compressed:
    """All forms of one model."""

    model: str
    metric: str
    direction: Literal["minimize", "maximize"]
    n_rows: int
    """Of the validation split."""
    max_drop: float
    forms: list[Form]
    not_made: dict[str, str]
    """Forms that could not be made, and why."""

    @property
    def kept(self) -> list[Form]:
        """The forms that were written."""
        return [form for form in self.forms if form.file is not None]

    def plain(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)
