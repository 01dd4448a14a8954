"""What people see of studies in a terminal: the views of a run, the answers as tables."""
