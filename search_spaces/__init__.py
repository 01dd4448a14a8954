"""Shipped study files: data only, one YAML file per family and task."""
