"""What the records of a study say: numbers, and a sentence each; no torch, no Optuna."""

from hpo.insight.material import Material, read_material
from hpo.insight.study import Insight

__all__ = ["Insight", "Material", "read_material"]
