"""Smaller model files: quantised, pruned, in half precision; measured before they are kept."""
