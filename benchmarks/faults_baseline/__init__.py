"""The faults of tests/faults against plain Optuna + Lightning, beside what those tests found."""
