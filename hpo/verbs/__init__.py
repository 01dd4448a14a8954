"""The verbs of the command line: one short function each, which imports its module inside it."""
