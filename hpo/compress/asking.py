"""What is asked of a compression, checked before anything is computed, and where its files go."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.compress.outcome import METHODS, NAMES
from hpo.errors import UsageError
from hpo.extras import ONNX_PACKAGES, require
from hpo.local import only_data
from hpo.ship.seal import MARK

ALL = "all"
SPARSITY = 0.5
NO_TRAINING = "trains the network further, which an .onnx file cannot be"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is to be made smaller, how, and where to."""

    model: str
    """An ``.onnx`` file, a ``best_config.json``, an ``ensemble.json``, or a folder or study."""
    results: Path
    """The folder of all studies."""
    method: str = ALL
    max_drop: float = 0.01
    sparsity: float | None = None
    output: Path | None = None
    """A file; of all methods, a folder."""
    overrides: Sequence[str] = ()

    @property
    def is_file(self) -> bool:
        """Whether it names a model file."""
        return Path(self.model).suffix.lower() in (".onnx", ".pt2")

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods, one by one."""
        return METHODS if self.method == ALL else (self.method,)


def check_ask(ask: Ask) -> None:
    """Check what is asked.

    Raises:
        UsageError: if a number is out of its range, or something has no effect.
        EnvironmentFault: if a package is missing.
    """
    if not (math.isfinite(ask.max_drop) and ask.max_drop >= 0):
        raise UsageError("--max-drop", f"is {ask.max_drop}", "a number from 0 on")
    if ask.sparsity is not None:
        if not 0 < ask.sparsity < 1:
            raise UsageError("--sparsity", f"is {ask.sparsity}", "a share between 0 and 1")
        if "prune" not in ask.methods or ask.is_file:
            what = "goes with --method prune, of a run's folder or a best_config.json"
            raise UsageError("--sparsity", what, "remove it")
    only_data(ask.overrides)
    if ask.method == "prune" and ask.is_file:
        hint = "name the best_config.json or the run's folder that it was exported from"
        raise UsageError("--method prune", NO_TRAINING, hint)
    require("hpo compress", ONNX_PACKAGES, extra="export")


def places(ask: Ask, folder: Path, stem: str) -> dict[str, Path]:
    """Return the file of each method.

    Args:
        ask: what is asked.
        folder: of the original.
        stem: of its name.

    Raises:
        UsageError: if a file cannot be there, or would be written over what is no model.
    """
    if ask.method != ALL and ask.output is not None:
        if ask.output.suffix.lower() != ".onnx":
            what = f"ends in {ask.output.suffix or 'nothing'}"
            raise UsageError(str(ask.output), what, "expected .onnx")
        found = {ask.method: ask.output}
    else:
        if ask.output is not None:
            folder = ask.output
            if folder.exists() and not folder.is_dir():
                hint = "all methods have several files: name a folder, or one --method"
                raise UsageError(str(folder), "is no folder", hint)
        found = {method: folder / f"{stem}.{NAMES[method]}.onnx" for method in ask.methods}
    for file in found.values():
        _refuse_place(file, Path(ask.model), made=ask.method == ALL and ask.output is not None)
    return found


def _refuse_place(file: Path, model: Path, *, made: bool) -> None:
    """Refuse a file that cannot be written; ``made`` says that its folder will be."""
    if not file.parent.is_dir() and not made:
        hint = f"mkdir -p {file.parent}"
        raise UsageError(str(file), "its folder does not exist", hint)
    if file.is_dir():
        raise UsageError(str(file), "is a folder", "name a file in it")
    if file.exists() and model.exists() and file.samefile(model):
        raise UsageError(str(file), "is the original itself", "name another with -o")
    if file.exists() and MARK not in file.read_bytes():
        raise UsageError(str(file), "is there, and no model file of hpo's", "name another with -o")
