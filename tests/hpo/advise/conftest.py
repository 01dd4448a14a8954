"""Studies in memory and on the disk, as the report's tests have them."""

from tests.hpo.report.conftest import trial, write_study

__all__ = ["trial", "write_study"]
