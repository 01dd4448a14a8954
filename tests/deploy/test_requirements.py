"""The image holds what a service imports, in the versions that are tested, and no torch."""

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LISTED = [
    line
    for line in (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
SERVING = """
import json, pkgutil, sys
from importlib import import_module

absent = set(json.loads(sys.argv[1]))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"the image has no {name}", name=name)

sys.meta_path.insert(0, Absent())
import onnxruntime, PIL.Image
import hpo.cli, hpo.serve, hpo.ship, hpo.predict.onnx_file
for package in (hpo.serve, hpo.ship):
    for one in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        import_module(one.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def with_what_they_need(names: Iterable[str]) -> set[str]:
    """Return distributions and all that pip installs with them."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            continue
        plain = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
        waiting += [canonicalize_name(one.name) for one in plain]
    return found


def test_a_service_can_be_imported_where_only_the_listed_packages_are() -> None:
    installed = with_what_they_need(LISTED)
    assert installed.isdisjoint({"torch", "scikit-learn", "optuna", "pytorch-lightning"})
    absent = [
        name
        for name, (first, *_) in packages_distributions().items()
        if canonicalize_name(first) not in {*installed, "hpo"}
    ]
    assert {"torch", "pyarrow", "sklearn"} <= set(absent)
    command = [sys.executable, "-c", SERVING, json.dumps(absent)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"onnxruntime", "uvicorn", "fastapi"} <= set(json.loads(done.stdout))


def test_every_listed_package_has_a_version_that_is_tested() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = {canonicalize_name(line.partition("==")[0]) for line in pinned}
    assert {canonicalize_name(name) for name in LISTED} <= names
