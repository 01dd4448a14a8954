"""Which pictures an evaluation has."""

from hpo.evaluations import Evaluation
from hpo.figures.confusion import confusion_figure
from hpo.figures.curves import pr_figure, reliability_figure, roc_figure
from hpo.figures.residuals import residuals_figure, targets_figure
from hpo.figures.steps import steps_figure

FIGURES = ("confusion", "roc", "pr", "reliability", "residuals", "steps")


def draw(evaluation: Evaluation) -> dict[str, str]:
    """Return the pictures as SVG, by what they show; only those that the findings allow."""
    found = evaluation.findings
    about = f"{evaluation.study}, trial {evaluation.trial}, {evaluation.split}"
    if found.n_rows is not None:
        about += f": {found.n_rows:,} rows"
    drawn = {}
    if found.confusion is not None and found.classes is not None:
        drawn["confusion"] = confusion_figure(found.confusion, found.classes, about)
    if found.roc is not None:
        drawn["roc"] = roc_figure(found.roc, about)
    if found.pr is not None:
        drawn["pr"] = pr_figure(found.pr, about)
    if found.reliability is not None:
        drawn["reliability"] = reliability_figure(found.reliability, about)
    if found.residuals is not None:
        drawn["residuals"] = residuals_figure(found.residuals, about)
    each = found.per_target or []
    own = [(one.name, one.residuals) for one in each if one.residuals is not None]
    if own:
        drawn["residuals"] = targets_figure(own, about)
    if found.task == "forecasting" and each:
        drawn["steps"] = steps_figure(each, about)
    return drawn
