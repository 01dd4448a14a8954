"""A model file as a service: rows in, predictions out; no torch."""
