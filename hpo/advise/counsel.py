"""Advice from the records of a study: what the next one should change, and why; no torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hpo.insight.axes import Axis
from hpo.insight.edges import Edge
from hpo.insight.gain import IDLE
from hpo.insight.matrix import FEW as FEW_IN_CELL
from hpo.insight.matrix import family_of
from hpo.insight.study import Insight
from hpo.records import TrialRecord
from hpo.words import number, plain_value

EAGER = 0.1
"""The pruner is too eager when, at the least, more than this share of what it stops is good."""
MANY_FAILURES = 0.15
SAVES_LITTLE = 0.1
ENOUGH = 20
"""Trials below which only what is certain is advised."""
TRIED = 5
"""Complete trials of a family before it may be given up."""

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One change, and its evidence."""

    kind: str
    """``bound``, ``drop``, ``pruner``, ``epochs``, ``budget``, ``family``, ``failures``,
    ``seeds``."""
    what: str
    because: str
    evidence: Json = field(default_factory=dict)
    """The numbers."""
    move: tuple[str, str, float] | None = None
    """A range's name, its end, and where that should be."""
    drop: str | None = None
    """A parameter to decide."""
    keep: tuple[str, ...] | None = None
    """The families worth keeping."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the next study, by dotted path."""

    def plain(self) -> Json:
        """Return what and why, ready for JSON."""
        kept = ("kind", "what", "because", "evidence")
        return {key: value for key, value in asdict(self).items() if key in kept}


def advise(insight: Insight) -> list[Advice]:
    """Return what the records advise, the most certain first; nothing where they say nothing."""
    if insight.material.best is None:
        return [*_failures(insight)]
    parts: tuple[Callable[[Insight], list[Advice]], ...] = (
        _bounds, _epochs, _pruner, _failures, _families, _drops, _budget, _seeds,
    )  # fmt: skip
    found = [one for part in parts for one in part(insight)]
    moved = {one.move[0] for one in found if one.move is not None}
    return [one for one in found if one.drop not in moved or one.drop is None]


def _bounds(insight: Insight) -> list[Advice]:
    grey = {one.name for one in insight.importance.found if one.share is not None}
    grey -= set(insight.importance.telling)
    found = []
    for edge in insight.edges:
        if not edge.strong or (edge.name in grey and edge.near < edge.top):
            continue
        verb = "lower" if edge.side == "low" else "raise"
        found.append(
            Advice(
                kind="bound",
                what=f"{verb} the {edge.side} end of {edge.name} from {edge.bound:g} to "
                f"{edge.move_to:g}",
                because=f"{edge.near} of the best {edge.top} trials lie within 5 % of it"
                + ("" if edge.best is None else f"; the best one has {edge.best:.3g}"),
                evidence=_edge_numbers(edge),
                move=(edge.name, edge.side, edge.move_to),
            )
        )
    return found


def _edge_numbers(edge: Edge) -> Json:
    keys = ("side", "bound", "best", "near", "top", "chance", "move_to")
    return {key: getattr(edge, key) for key in keys}


def _drops(insight: Insight) -> list[Advice]:
    """Advise to decide what cannot be told from a parameter without effect, given enough trials."""
    found, best = insight.importance, insight.material.best
    if found.n_trials < ENOUGH or not found.telling or best is None:
        return []
    branches = {axis.name for axis in insight.material.axes if axis.is_branch}
    return [
        Advice(
            kind="drop",
            what=f"decide {one.name}: {plain_value(best.params[one.name])}, as in the best trial",
            because=f"it explains {one.share:.1%} of the order of {found.n_trials} trials; a "
            f"parameter without effect reaches {one.null:.1%}",
            evidence={k: getattr(one, k) for k in ("share", "low", "high", "null", "n")},
            drop=one.name,
        )
        for one in found.found
        if one.share is not None
        and not one.stands_out
        and one.n >= ENOUGH
        and one.name in best.params
        and one.name not in branches
    ]


def _pruner(insight: Insight) -> list[Advice]:
    audit = insight.audit
    name = _pruner_name(insight)
    evidence = {"audited": len(audit.audited), "wrong": audit.wrong,
                "ci95": [audit.span.low, audit.span.high], "pruned": audit.n_pruned,
                "saved_share": audit.saved}  # fmt: skip
    if audit.audited and audit.span.low > EAGER:
        return [
            Advice(
                kind="pruner",
                what="stop later: the pruner throws good trials away",
                because=f"{audit.wrong} of {len(audit.audited)} audited trials ended among the "
                f"best tenth, at least {audit.span.low:.0%} of all that are stopped",
                evidence=evidence,
                settings=_gentler(name),
            )
        ]
    if audit.n_trained >= ENOUGH and name != "none" and (audit.saved or 0) < SAVES_LITTLE:
        return [
            Advice(
                kind="pruner",
                what="prune harder, or not at all: the pruner is idle",
                because=f"it stopped {audit.n_pruned} of {audit.n_trained} trials and saved "
                f"{audit.saved or 0:.0%} of the epochs",
                evidence=evidence,
            )
        ]
    if audit.n_pruned >= ENOUGH and not insight.material.search.get("audit"):
        return [
            Advice(
                kind="pruner",
                what="audit the pruner: search.audit: 0.1",
                because=f"it stopped {audit.n_pruned} trials, and none ran on to show the loss",
                evidence=evidence,
                settings={"search.audit": 0.1},
            )
        ]
    return []


def _pruner_name(insight: Insight) -> str:
    pruner = insight.material.search.get("pruner", {"name": "hyperband"})
    return str(pruner.get("name", "hyperband")) if isinstance(pruner, Mapping) else str(pruner)


def _gentler(name: str) -> Mapping[str, Any]:
    """Return the settings under which a pruner stops later."""
    if name in ("hyperband", "asha"):
        return {"search.pruner.min_resource": 3}
    return {"search.pruner.n_warmup_validations": 3} if name in ("median", "percentile") else {}


def _epochs(insight: Insight) -> list[Advice]:
    found = insight.training
    n = len(found.paths)
    longest = (insight.material.values.get("trainer") or {}).get("max_epochs", 0)
    now = longest if isinstance(longest, int) else 0
    if n < 3 or not now:
        return []
    evidence = {"top": n, "late": found.late, "early": found.early, "max_epochs": now}
    if found.late > n / 2:
        more = max(now + 1, round(now * 1.5))
        return [
            Advice(
                kind="epochs",
                what=f"train longer: trainer.max_epochs from {now} to {more}",
                because=f"{found.late} of the best {n} trials were best in the last tenth of "
                "their epochs",
                evidence=evidence,
                settings={"trainer.max_epochs": more},
            )
        ]
    last = max((path.best_epoch for path in found.paths), default=0.0)
    less = max(1, round(last * 1.5))
    if found.early == n and less < now:
        return [
            Advice(
                kind="epochs",
                what=f"train shorter: trainer.max_epochs from {now} to {less}",
                because=f"the best {n} trials were all best in the first half, at epoch "
                f"{last:g} at the latest",
                evidence={**evidence, "last_best_epoch": last},
                settings={"trainer.max_epochs": less},
            )
        ]
    return []


def _budget(insight: Insight) -> list[Advice]:
    found, n = insight.gain, len(insight.material.records)
    if found.idle is None or n < ENOUGH or not found.epochs:
        return []
    evidence = {"idle_share": found.idle, "epochs": found.epochs, "trials": n,
                "second_half": found.second_half}  # fmt: skip
    if found.idle >= IDLE:
        return [
            Advice(
                kind="budget",
                what="more of the same search is no use: change the space, or stop",
                because=f"nothing was gained in the last {found.idle:.0%} of {found.epochs:,.0f} "
                "epochs",
                evidence=evidence,
            )
        ]
    if found.idle < 0.15 and (found.second_half or 0) > 0:
        return [
            Advice(
                kind="budget",
                what="search on: it was still gaining",
                because=f"the last gain came {found.idle:.0%} of {found.epochs:,.0f} epochs before "
                f"the end; the second half gained {found.second_half:.3g}",
                evidence=evidence,
            )
        ]
    return []


def _families(insight: Insight) -> list[Advice]:
    """Advise to give up families whose best is worse than half of what the best one reaches."""
    material, cells = insight.material, insight.matrix.cells
    names = insight.matrix.families
    if len(names) < 2 or material.best is None:
        return []
    best = {name: [c for c in cells if c.family == name and c.best is not None] for name in names}
    sign = 1.0 if material.maximize else -1.0
    tops = {n: max(sign * (c.best or 0.0) for c in some) for n, some in best.items() if some}
    counts = {name: sum(c.n for c in best[name]) for name in names}
    winner = max(tops, key=lambda name: tops[name])
    done = sorted(
        sign * r.value
        for r in material.records
        if r.has_rank and r.value is not None and family_of(r) == winner
    )
    middle = done[len(done) // 2]
    behind = [
        name for name in tops if name != winner and counts[name] >= TRIED and tops[name] < middle
    ]
    if not behind or counts[winner] < FEW_IN_CELL:
        return []
    told = ", ".join(f"{n}: {number(sign * tops[n])} in {counts[n]} trials" for n in behind)
    return [
        Advice(
            kind="family",
            what=f"leave out {', '.join(behind)}",
            because=f"the best of it ({told}) is worse than half of the {counts[winner]} complete "
            f"trials of {winner} (median {number(sign * middle)})",
            evidence={
                "best": {name: sign * top for name, top in tops.items()},
                "n": counts,
                "median": sign * middle,
            },
            keep=tuple(name for name in names if name not in behind),
        )
    ]


def _failures(insight: Insight) -> list[Advice]:
    found, records = insight.failures, insight.material.records
    advice = []
    for reason, numbers in found.by_reason.items():
        share = len(numbers) / len(records)
        if share < MANY_FAILURES and len(numbers) < 5:
            continue
        where = _where(insight.material.axes, records, numbers)
        first = next(record for record in records if record.number == numbers[0])
        because = f"{len(numbers)} of {len(records)} trials failed so"
        because += f", {where}" if where else f"; the first says: {first.what[:120]}"
        advice.append(
            Advice(
                kind="failures",
                what=f"avoid what fails as {reason}",
                because=because,
                evidence={"reason": reason, "trials": list(numbers), "share": share},
            )
        )
    return advice


def _where(axes: Sequence[Axis], records: Sequence[TrialRecord], numbers: Sequence[int]) -> str:
    """Return the option that most of the failures have, and few of the others."""
    failed = [record for record in records if record.number in numbers]
    others = [record for record in records if record.state != "failed"]
    found: list[tuple[float, str]] = []
    options = {axis.name for axis in axes if not axis.is_number or axis.whole}
    tried = {(n, v) for r in failed for n, v in r.params.items() if n in options}
    for name, value in sorted(tried, key=str):
        mine = sum(r.params.get(name) == value for r in failed) / len(failed)
        rest = sum(r.params.get(name) == value for r in others) / max(len(others), 1)
        if mine >= 0.8 and rest <= 0.4:
            text = f"{mine:.0%} of them with {name} {plain_value(value)} ({rest:.0%} of the others)"
            found.append((mine - rest, text))
    return max(found)[1] if found else ""


def _seeds(insight: Insight) -> list[Advice]:
    if insight.material.seeds is not None or (insight.top.n_alike or 0) <= 1:
        return []
    alike = insight.top.n_alike or 0
    return [
        Advice(
            kind="seeds",
            what=f"train the best ones with fresh seeds: hpo evaluate {insight.material.name} "
            "--top 3 --seeds 5",
            because=f"{alike} trials cannot be told apart on one validation split",
            evidence={"alike": alike},
        )
    ]
