"""Everything that the records of a study say, computed once."""

from dataclasses import dataclass
from functools import cached_property

from hpo.evaluations import Evaluation, read_evaluation
from hpo.insight.audit import Audit, audit
from hpo.insight.conclusion import Conclusion, conclusion
from hpo.insight.cost import Cost, Failures, cost, failures
from hpo.insight.edges import Edge, edges
from hpo.insight.gain import Gain, gain
from hpo.insight.importance import Importances, importances
from hpo.insight.material import Material
from hpo.insight.matrix import Matrix, matrix
from hpo.insight.top import Luck, Top, luck, top
from hpo.insight.training import Training, training
from hpo.records import ranked


@dataclass(frozen=True)
class Insight:
    """What one study says; each answer is computed when it is first asked for."""

    material: Material

    @cached_property
    def gain(self) -> Gain:
        """Was tuning worth it?"""
        m = self.material
        return gain(m.records, m.direction, m.metric, best=m.best, seeds=m.seeds)

    @cached_property
    def top(self) -> Top:
        """Which others are as good?"""
        m = self.material
        return top(m.records, m.direction, m.metric, best=m.best, seeds=m.seeds)

    @cached_property
    def luck(self) -> Luck:
        """Winner or luck?"""
        return luck(self.material.seeds, self.material.direction)

    @cached_property
    def training(self) -> Training:
        """Did training go well?"""
        m = self.material
        order = ranked([record for record in m.records if record.has_rank], m.direction)
        if m.best is not None:
            order = [m.best, *(record for record in order if record.number != m.best.number)]
        return training(m.folder, order, m.records, m.curves)

    @cached_property
    def audit(self) -> Audit:
        """Did pruning throw away good trials?"""
        m = self.material
        return audit(m.records, m.direction, m.curves)

    @cached_property
    def importance(self) -> Importances:
        """Which choices matter?"""
        m = self.material
        return importances(m.records, m.axes, m.curves, direction=m.direction)

    @cached_property
    def edges(self) -> list[Edge]:
        """Where next?"""
        m = self.material
        return edges(m.records, m.axes, m.direction)

    @cached_property
    def matrix(self) -> Matrix:
        """Which family and optimizer?"""
        return matrix(self.material.records, self.material.direction)

    @cached_property
    def cost(self) -> Cost:
        """What does accuracy cost?"""
        m = self.material
        return cost(m.records, m.direction, m.metric, self.limits, best=m.best)

    @cached_property
    def failures(self) -> Failures:
        """What failed, and why?"""
        return failures(self.material.records)

    @property
    def limits(self) -> dict[str, float]:
        """The study's constraints, by what is measured."""
        given = self.material.values.get("constraints") or {}
        return {
            str(name): float(limit["max"])
            for name, limit in given.items()
            if isinstance(limit, dict) and "max" in limit
        }

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """What `hpo evaluate` found of the best config: on the test split, else on validation."""
        best = self.material.best
        mine = [one for one in self._evaluations if best is not None and one.trial == best.number]
        return mine[0] if mine else None

    @property
    def evaluated_other(self) -> int | None:
        """The trial that was evaluated, where it is not the best one now."""
        return self._evaluations[0].trial if self._evaluations and not self.evaluation else None

    @cached_property
    def _evaluations(self) -> list[Evaluation]:
        paths = [self.material.folder.evaluated(split) for split in ("test", "validation")]
        return [read_evaluation(path) for path in paths if path.exists()]

    @cached_property
    def conclusion(self) -> Conclusion:
        """The plain sentences at the end."""
        return conclusion(
            self.material,
            gain=self.gain,
            importance=self.importance,
            edges=self.edges,
            audit=self.audit,
            training=self.training,
            luck=self.luck,
        )
