"""The Optuna storage of a study: opening, writing, naming it."""
