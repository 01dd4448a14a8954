"""What a verification found: one check after the other, and what they come to."""

from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from hpo.records import now_utc

Outcome = Literal["equal", "differs", "unknown"]
DIFFERS, INCOMPLETE = 4, 2
"""Exit codes: a check said no; something could not be checked."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison: what was held against what, and how it came out."""

    level: int
    name: str
    outcome: Outcome
    what: str
    """What is equal; or the difference, with what was expected and found; or why it is unknown."""
    hint: str = ""
    """What would be right."""


def equal(level: int, name: str, what: str) -> Check:
    """Return a check that found what was recorded."""
    return Check(level=level, name=name, outcome="equal", what=what)


def differs(level: int, name: str, what: str, hint: str) -> Check:
    """Return a check that found something else than what was recorded."""
    return Check(level=level, name=name, outcome="differs", what=what, hint=hint)


def unknown(level: int, name: str, what: str, hint: str) -> Check:
    """Return a check that could not be made."""
    return Check(level=level, name=name, outcome="unknown", what=what, hint=hint)


def told(expected: object, found: object) -> str:
    """Return a difference in words.

    >>> told(0.5, 0.25)
    'expected 0.5, found 0.25'
    """
    return f"expected {_short(expected)}, found {_short(found)}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return f"{text[:12]}…"
    return text if len(text) <= 120 else f"{text[:119]}…"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """All checks of one best config."""

    file: Path
    summary: str
    """The best config in a line; empty where the file cannot be read as one."""
    levels: list[int]
    """Those that were asked for and came to their turn."""
    checks: list[Check] = field(default_factory=list)
    machine: str = ""
    other_machine: list[str] = field(default_factory=list)
    """In what this machine is of another class than the one that trained the config."""

    @property
    def first_difference(self) -> Check | None:
        """The first check that said no."""
        return next((check for check in self.checks if check.outcome == "differs"), None)

    @property
    def unchecked(self) -> list[Check]:
        """What could not be checked."""
        return [check for check in self.checks if check.outcome == "unknown"]

    @property
    def outcome(self) -> Literal["verified", "differs", "incomplete"]:
        """What the checks come to."""
        if self.first_difference is not None:
            return "differs"
        return "incomplete" if self.unchecked else "verified"

    @property
    def exit_code(self) -> int:
        """The exit code of `hpo verify`."""
        return {"verified": 0, "differs": DIFFERS, "incomplete": INCOMPLETE}[self.outcome]

    def stamp(self) -> dict[str, Any]:
        """Return the section ``verified`` of the file."""
        first, unchecked = self.first_difference, self.unchecked
        what = ", ".join(dict.fromkeys(check.name for check in self.checks)) + ": as recorded"
        if first is not None:
            what = f"{first.name}: {first.what}"
        elif unchecked:
            what = "not checked: " + ", ".join(check.name for check in unchecked)
        return {
            "utc": now_utc(),
            "levels": self.levels,
            "outcome": self.outcome,
            "what": what,
            "machine": self.machine,
            "same_machine_class": not self.other_machine,
            "package": f"hpo {metadata.version('hpo')}",
        }

    def plain(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        first = self.first_difference
        return {
            "file": str(self.file),
            "outcome": self.outcome,
            "levels": self.levels,
            "first_difference": None if first is None else asdict(first),
            "checks": [asdict(check) for check in self.checks],
            "machine": self.machine,
            "other_machine": self.other_machine,
        }
