"""What the next study should change, by the records of this one; no torch, no Optuna."""

from hpo.advise.counsel import Advice, advise
from hpo.advise.following import Following, next_study

__all__ = ["Advice", "Following", "advise", "next_study"]
