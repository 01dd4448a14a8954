"""Packages of the extras: asked for before anything is computed."""

from collections.abc import Sequence
from importlib.util import find_spec

from hpo.errors import EnvironmentFault

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What writes ONNX files and runs them."""


def require(where: str, packages: Sequence[str], *, extra: str) -> None:
    """Check that packages are installed, without importing them.

    Args:
        where: begins the error.
        packages: their names; with ``-`` where the module's has ``_``.
        extra: which brings them.

    Raises:
        EnvironmentFault: if one is missing, with the command that installs it.
    """
    missing = [name for name in packages if find_spec(name.replace("-", "_")) is None]
    if missing:
        what = f"needs {', '.join(missing)}, not installed"
        raise EnvironmentFault(where, what, f"pip install 'hpo[{extra}]'")
