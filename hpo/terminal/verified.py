"""What `hpo verify` says: a line for each check, the levels in one line, and what is next."""

import shlex
from collections.abc import Sequence

from hpo.verify.checks import Check, Verification

SIGNS = {"equal": "✓", "differs": "✗", "unknown": "?"}
GROUPS = {
    0: ("schema", "hashes"),
    1: ("data", "checkpoint re-scored"),
    2: ("trained again", "trained again"),
    3: ("fresh seeds", "fresh seeds"),
}
"""What the checks of a level are called in the last line: the first of them, and the others."""
VERDICTS = {
    "verified": "verified",
    "differs": "not what it says it is",
    "incomplete": "as recorded, as far as it could be checked",
}


def verified_lines(done: Verification) -> list[str]:
    """Return the checks, one a line, what they come to, and on which machine."""
    width = max(len(check.name) for check in done.checks)
    lines = [done.summary] if done.summary else []
    lines += [
        f"  {check.level}  {check.name:<{width}}  {SIGNS[check.outcome]}  {check.what}"
        for check in done.checks
    ]
    lines.append("  ".join(_groups(done.checks)))
    word = "levels" if len(done.levels) > 1 else "level"
    lines.append(f"{VERDICTS[done.outcome]}: {word} {', '.join(map(str, done.levels))}")
    if done.machine:
        lines.append(_machine(done))
    return lines


def _machine(done: Verification) -> str:
    if not done.other_machine:
        return f"on the machine class that trained it: {done.machine}"
    changed = "; ".join(done.other_machine)
    return f"on another machine class than trained it ({changed}): values compared, not bits"


def _groups(checks: Sequence[Check]) -> list[str]:
    """Return the levels in a few words, each with its sign."""
    parts: dict[str, list[Check]] = {}
    for check in checks:
        first = check.name in ("schema", "data", "preparation")
        parts.setdefault(GROUPS[check.level][0 if first else 1], []).append(check)
    return [f"{name} {_sign(found)}" for name, found in parts.items()]


def _sign(checks: Sequence[Check]) -> str:
    outcomes = {check.outcome for check in checks}
    return next(SIGNS[one] for one in ("differs", "unknown", "equal") if one in outcomes)


def next_step(done: Verification, place: str, plugins: Sequence[str]) -> list[str]:
    """Return what went wrong first and what would be right; or what can be proved next."""
    wrong = done.first_difference
    if wrong is not None:
        return [_complaint(done, wrong)]
    if done.unchecked:
        return _unchecked(done)
    more = [word for plugin in plugins for word in ("--plugin", plugin)]
    if done.levels[-1] < len(GROUPS) - 1:
        command = shlex.join(["hpo", "verify", place, "--full", *more])
        return [f"next: {command}     train it again, and with fresh seeds"]
    command = shlex.join(["hpo", "predict", str(done.file), "NEW_ROWS"])
    return [f"next: {command}     use it"]


def _unchecked(done: Verification) -> list[str]:
    """Return what could not be checked, and why: one line for each thing that would be right."""
    by_hint: dict[str, list[str]] = {}
    for check in done.unchecked:
        by_hint.setdefault(check.hint, []).append(f"{check.name} ({check.what})")
    return [
        f"{done.file}: not checked: {', '.join(names)}; {hint}" for hint, names in by_hint.items()
    ]


def _complaint(done: Verification, check: Check) -> str:
    end = f"; {check.hint}" if check.hint else ""
    return f"{done.file}: {check.name}: {check.what}{end}"
