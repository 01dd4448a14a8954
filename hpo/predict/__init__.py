"""Predictions for new rows: read as training saw them, written as a table."""
