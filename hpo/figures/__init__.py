"""Pictures of an evaluation as SVG, each titled with the question it answers; no torch."""

from hpo.figures.evaluation import FIGURES, draw

__all__ = ["FIGURES", "draw"]
