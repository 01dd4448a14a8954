"""The program of a packaged model: what torch.export makes of it, and why it may not."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from hpo.errors import UsageError
from hpo.export.specs import blank
from hpo.ship.manifest import TensorSpec

TRACED_ROWS = 3
"""Rows of the example by which a program is traced; not 1, which would be taken for always 1."""


def program_of(module: nn.Module, specs: Sequence[TensorSpec], *, family: str) -> ExportedProgram:
    """Return the program of a packaged model for any number of rows.

    It is traced with rows without content, and names no file of this machine.

    Args:
        module: the model, in evaluation mode.
        specs: its inputs, text as codes.
        family: of its network, for the error.

    Raises:
        UsageError: if torch.export cannot follow the network, with the reason.
    """
    example = blank(specs, TRACED_ROWS)
    rows = Dim("rows", min=1)
    shapes = ({one.name: {0: rows} for one in specs},)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # noqa: BLE001  (a network's own code may raise anything)
        reason = reason_of(error)
        what = f"torch.export cannot follow the network: {reason}"
        hint = "which operations are done must not depend on what is in tensors"
        if "Constraints violated" in reason:
            what = "torch.export cannot follow the network: it fixes the number of rows"
            hint = "write x.shape[0] where it says len(x), and no number of rows"
        raise UsageError(f"model.family {family}", what, hint) from None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def reason_of(error: BaseException) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else ""
    return f"{type(error).__name__}: {said}"[:300] if said else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the vendors' exporters say off the terminal; errors are raised as always."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)
