"""Several trials of a study as one predictor."""
