"""The numbers by which several networks' outputs become one, for NumPy and for torch; no torch."""

LEAST = 2.0**-23
"""Probabilities are at least this much before their logarithm is taken."""
SHARED_VOTE = 0.5
"""A vote of this weight is shared out as the members' mean: it decides where votes are equal."""
