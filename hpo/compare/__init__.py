"""Compare studies: may they be, in what they differ, which is better, and how sure that is."""

from hpo.compare.comparison import Comparison, compare
from hpo.compare.page import page

__all__ = ["Comparison", "compare", "page"]
