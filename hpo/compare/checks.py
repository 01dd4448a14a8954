"""May studies be compared: what they must have in common, and what each difference forbids."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any, Literal

from hpo.compare.sides import Side
from hpo.records import most_epochs
from hpo.spec import COMPARED

Level = Literal["blocks", "warns", "notes"]
_IN_SPLIT = (
    "data.validation",
    "data.test",
    "data.split",
    "data.split_seed",
    "data.group",
    "data.time",
    "data.fold",
    "data.duplicates",
    "data.skip_unreadable",
)
"""What the hash of the split covers."""
_IN_DATA = ("data.source", "data.path", "data.name", "data.target", "data.text")
"""What the hash of the data covers: a file may have moved."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that studies have not in common, or of which that cannot be told."""

    what: str
    values: Mapping[str, str]
    """What each study has, by its label."""
    level: Level
    """``blocks``: no verdict; ``warns``: a verdict with that in mind, refused under --strict;
    ``notes``: good to know."""
    says: str
    """What it means for the comparison."""
    kinds: Mapping[str, int]
    """Studies of one number have the same, whatever it is called."""

    def plain(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: value for name, value in asdict(self).items() if name != "kinds"}


@dataclass(frozen=True, kw_only=True)
class _Check:
    what: str
    level: Level
    says: str
    read: Callable[[Side], Any]
    name: Callable[[Side], str] = lambda side: ""
    """What stands before the value, for people."""


_CHECKS = (
    _Check(
        what="data",
        level="blocks",
        says="the values are of other data: which study is better cannot be said",
        read=lambda side: side.hashes["data"],
        name=lambda side: str(_setting(side.config, "data.source") or ""),
    ),
    _Check(
        what="split",
        level="blocks",
        says="the values are of other rows of the data: which study is better cannot be said",
        read=lambda side: side.hashes["split"],
    ),
    _Check(
        what="folds",
        level="blocks",
        says="the values are means over other rows: which study is better cannot be said",
        read=lambda side: _setting(side.config, "data.folds") or 1,
    ),
    _Check(
        what="metric",
        level="blocks",
        says="the values are of other metrics: they cannot be set against each other",
        read=lambda side: side.metric,
    ),
    _Check(
        what="direction",
        level="blocks",
        says="what is better in one study is worse in the other",
        read=lambda side: side.direction,
    ),
    _Check(
        what="epochs per trial",
        level="warns",
        says="a trial is not the same effort in each: prefer --at epochs or --at seconds",
        read=lambda side: _spans(side, lambda config: most_epochs(config)),
    ),
    _Check(
        what="epochs per validation",
        level="warns",
        says="the best of more validations is higher by luck alone",
        read=lambda side: _spans(side, lambda config: _setting(config, "trainer.validate_every")),
    ),
    _Check(
        what="own code",
        level="warns",
        says="plugins have other code: equal settings may mean other networks",
        read=lambda side: ", ".join(sorted(map(_code, side.plugins.items()))),
    ),
    _Check(
        what="preparation",
        level="notes",
        says="the best trials prepare the same data in other ways: a part of what is compared",
        read=lambda side: side.best.data.get("preparation_sha256") if side.best else None,
    ),
    _Check(
        what="constraints",
        level="notes",
        says="the best of one had to be cheaper than that of the other",
        read=lambda side: side.settings.get("constraints") or None,
    ),
)


def find_differences(sides: Sequence[Side]) -> list[Difference]:
    """Return what the studies have not in common, what forbids a verdict first."""
    found = [
        difference
        for check in _CHECKS
        if (difference := _differing(check, sides, values=[check.read(side) for side in sides]))
    ]
    found += _other_settings(sides)
    found += [one for one in (_untold(sides), _changed(sides), _running(sides)) if one]
    order = ("blocks", "warns", "notes")
    return sorted(found, key=lambda one: order.index(one.level))


def blocked(differences: Sequence[Difference], a: str, b: str) -> list[Difference]:
    """Return the differences between two of the studies that forbid a verdict."""
    return [d for d in differences if d.level == "blocks" and d.kinds[a] != d.kinds[b]]


def same_trials(a: Side, b: Side) -> int | None:
    """Return how many trials two folders share that are copies of one study; None if not copies."""
    if a.uuid is None or a.uuid != b.uuid:
        return None
    own = {(record.number, record.config_sha256, record.value) for record in a.records}
    return sum((r.number, r.config_sha256, r.value) in own for r in b.records)


def _differing(check: _Check, sides: Sequence[Side], *, values: list[Any]) -> Difference | None:
    if all(value == values[0] for value in values):
        return None
    shown = {
        side.label: f"{check.name(side)} {_short(value)}".strip()
        for side, value in zip(sides, values, strict=True)
    }
    kinds = {side.label: values.index(value) for side, value in zip(sides, values, strict=True)}
    return Difference(
        what=check.what, values=shown, level=check.level, says=check.says, kinds=kinds
    )


def _other_settings(sides: Sequence[Side]) -> list[Difference]:
    """Return differing settings that no hash covers: what is predicted, and how far."""
    hashed = {"data": _IN_DATA, "split": _IN_SPLIT}
    covered = {"objective", "data.folds"}
    for name, paths in hashed.items():
        if all(side.hashes[name] for side in sides):
            covered |= set(paths)
    found = []
    for path in (path for path in COMPARED if path not in covered):
        check = _Check(
            what=path,
            level="blocks",
            says="the studies do not predict the same of the same rows",
            read=lambda side: None,
        )
        values = [_setting(side.config, path) for side in sides]
        difference = _differing(check, sides, values=values)
        found += [difference] if difference else []
    return found


def _untold(sides: Sequence[Side]) -> Difference | None:
    """Say that data without a fingerprint may be other data, in all studies."""
    missing = [name for name in ("data", "split") if all(s.hashes[name] is None for s in sides)]
    if not missing:
        return None
    return _said(
        " and ".join(missing),
        {side.label: "no fingerprint" for side in sides},
        "warns",
        "of data modules of your own, and imported studies, the rows are not known",
    )


def _changed(sides: Sequence[Side]) -> Difference | None:
    if not any(side.changed for side in sides):
        return None
    return _said(
        "settings throughout",
        {side.label: "changed" if side.changed else "–" for side in sides},
        "warns",
        "settings or code were changed along the way: early trials may be of another study",
    )


def _running(sides: Sequence[Side]) -> Difference | None:
    if not any(side.running for side in sides):
        return None
    return _said(
        "state",
        {side.label: "runs" if side.running else "ended" for side in sides},
        "notes",
        "a study that runs may still find something better",
    )


def _said(what: str, values: Mapping[str, str], level: Level, says: str) -> Difference:
    kinds = dict.fromkeys(values, 0)
    return Difference(what=what, values=values, level=level, says=says, kinds=kinds)


def _spans(side: Side, read: Callable[[Mapping[str, Any]], Any]) -> str:
    """Return a setting of all trials: its one value, or the lowest and the highest."""
    found = sorted({value for record in side.records if (value := read(record.config)) is not None})
    if not found:
        return "untold"
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"


def _code(plugin: tuple[str, str | None]) -> str:
    """Return a plugin's last name and its hash: where it lay does not count."""
    return f"{PurePath(plugin[0]).name} {(plugin[1] or 'untold')[:12]}"


def _setting(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _short(value: Any) -> str:
    text = "–" if value in (None, "", {}) else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
