"""Everything that a split's outputs and targets tell: intervals, curves, tables, residuals."""
