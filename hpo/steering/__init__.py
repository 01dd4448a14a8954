"""A study from outside while it runs: what it says of itself, what others may ask of it."""
