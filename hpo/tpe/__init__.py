"""Optuna's TPE with the same proposals, from what is kept of the trials between them."""
