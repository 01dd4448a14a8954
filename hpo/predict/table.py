"""Predictions as a table: which columns there are, and what stands in their cells."""

from torch import Tensor

from lightning_modules.data.facts import DataFacts
from lightning_modules.label_metrics import taken
from lightning_modules.task import NUMBERS


def column_names(facts: DataFacts, *, probabilities: bool) -> list[str]:
    """Return the names of the columns: one prediction of a row, or one for each target.

    Args:
        facts: of the model's data.
        probabilities: one column more for each class or label.
    """
    several = facts.target_names
    names = ["prediction"] if several is None else [f"prediction_{name}" for name in several]
    if not probabilities:
        return names
    return [*names, *(f"p_{label}" for label in facts.classes or several or [])]


def cells_of(
    outputs: Tensor, facts: DataFacts, kind: str, *, probabilities: bool
) -> list[list[str]]:
    """Return the cells of each row.

    Args:
        outputs: probabilities or numbers, as `lightning_modules.restore.outputs_of` gives them.
        facts: of the model's data.
        kind: of its task.
        probabilities: those too.
    """
    shown: list[list[str]] = outputs.view(len(outputs), -1).numpy().astype(str).tolist()
    if kind in NUMBERS:
        return shown
    if kind == "multilabel":
        chosen: list[list[str]] = taken(outputs).numpy().astype(str).tolist()
    else:
        classes = facts.classes or []
        chosen = [[classes[i]] for i in outputs.argmax(1).tolist()]
    if not probabilities:
        return chosen
    return [[*some, *row] for some, row in zip(chosen, shown, strict=True)]
