"""Model files: what is in one, how it is sealed, and what it is fed; no torch."""
