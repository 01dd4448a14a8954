"""The report: one self-contained page about one study, or several; no torch, no Optuna."""

from hpo.report.answers import answers
from hpo.report.page import page, render, write_report

__all__ = ["answers", "page", "render", "write_report"]
