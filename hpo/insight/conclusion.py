"""The conclusion in plain sentences: the best, the gain, what mattered, what to try next."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.best import basis
from hpo.insight.audit import Audit
from hpo.insight.edges import Edge
from hpo.insight.gain import IDLE, Gain
from hpo.insight.importance import Importances
from hpo.insight.material import Material, described
from hpo.insight.top import Luck, seeded_words
from hpo.insight.training import Training
from hpo.words import arrow, number


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What a study came to, one sentence each."""

    best: str
    gained: str
    mattered: str
    next: str

    @property
    def sentences(self) -> list[str]:
        """All of them, in order."""
        return [self.best, self.gained, self.mattered, self.next]


def conclusion(
    material: Material,
    *,
    gain: Gain,
    importance: Importances,
    edges: Sequence[Edge],
    audit: Audit,
    training: Training,
    luck: Luck,
) -> Conclusion:
    """Return the conclusion."""
    return Conclusion(
        best=_best(material, luck),
        gained=_gained(material, gain),
        mattered=importance.sentence,
        next=_next(material, gain, edges, audit, training),
    )


def _best(material: Material, luck: Luck) -> str:
    best = material.best
    if best is None or best.value is None:
        n = len(material.records)
        return f"No config can be recommended yet: none of {n} trials is complete."
    sign = f"{material.metric} {arrow(material.direction)}"
    text = f"Use trial {best.number}, {described(best)}: {sign} {number(best.value)}"
    seeded = seeded_words(luck.record, best.number) if luck.record else None
    if seeded is not None:
        return f"{text} in the search, {seeded}."
    return f"{text} on validation ({basis(best.run)})."


def _gained(material: Material, gain: Gain) -> str:
    if gain.best is None:
        return "What tuning gains over the default config is not known yet."
    if gain.default is None or gain.gained is None:
        return "The default config has no value, so the gain of tuning is not known."
    if gain.gained == 0:
        return f"Tuning gained nothing over the default config ({number(gain.default)})."
    told = "better" if gain.gained > 0 else "worse"
    text = f"It is {abs(gain.gained):.4g} {told} than the default config ({number(gain.against)}"
    if gain.span is None:
        return f"{text}); {gain.basis}."
    text += f"; 95 % interval {gain.span.low:+.4g} to {gain.span.high:+.4g}, {gain.basis})"
    if gain.span.low <= 0:
        return f"{text}: not beyond doubt."
    seeded = "seeds" in gain.basis
    return f"{text}." if seeded else f"{text}; the best of many is optimistic: evaluate its seeds."


def _next(
    material: Material,
    gain: Gain,
    edges: Sequence[Edge],
    audit: Audit,
    training: Training,
) -> str:
    name = material.name
    if gain.best is None:
        return f"Next: hpo run {name} goes on." if material.records else "Next: let it run."
    todo = []
    if material.seeds is None and not material.imported:
        todo.append(f"train it with fresh seeds (hpo evaluate {name} --seeds 5)")
    strong = [edge for edge in edges if edge.strong]
    if strong:
        edge = strong[0]
        todo.append(f"move the {edge.side} end of {edge.name} to {edge.move_to:g}")
    if training.paths and not material.imported and training.late > len(training.paths) / 2:
        todo.append("train longer")
    if gain.idle is not None and gain.idle < IDLE and len(material.records) >= 8:
        todo.append("search on: it was still gaining")
    if audit.n_pruned and not audit.audited:
        todo.append("audit the pruner (search.audit: 0.1)")
    if not todo and material.imported:
        return "Next: nothing asks for another search of this space."
    if not todo:
        return "Next: nothing asks for another search; hpo verify proves the config."
    return f"Next: {'; '.join(todo)}."
