"""Where the time of a study goes, beside what others make of it. See benchmarks/README.md."""
