"""The GPUs of this machine, counted without torch: which trials may use, and which one sees."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hpo.errors import UsageError
from lightning_modules.config import TrainerConfig

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA learns which GPUs a process has; read once, when it starts."""


def gpus_for(trainers: Iterable[TrainerConfig]) -> list[str]:
    """Return the names of the GPUs that these trainings share; none if all want another device."""
    wanted = any(trainer.accelerator in ("auto", "gpu") for trainer in trainers)
    if not wanted or _torch_is_for_cpus():
        return []
    return visible_gpus(os.environ, count_gpus())


def visible_gpus(environment: Mapping[str, str], n_present: int) -> list[str]:
    """Return the names, as `VISIBLE` takes them, of the GPUs that a program started here has.

    As CUDA does, stop at the first name in `VISIBLE` that is none.

    >>> visible_gpus({}, 2), visible_gpus({VISIBLE: "1,-1,0"}, 2)
    (['0', '1'], ['1'])

    Args:
        environment: of the program.
        n_present: how many GPUs the machine has.
    """
    if VISIBLE not in environment or not n_present:
        return [str(number) for number in range(n_present)]
    names: list[str] = []
    for name in (part.strip() for part in environment[VISIBLE].split(",")):
        known = int(name) < n_present if name.isdecimal() else name.startswith(("GPU-", "MIG-"))
        if not known or name in names:
            break
        names.append(name)
    return names


def count_gpus(devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA GPUs there are: as device files, or as the driver's tool lists them.

    Args:
        devices: the folder of device files.
    """
    n_files = sum(bool(re.fullmatch(r"nvidia\d+", path.name)) for path in devices.iterdir())
    tool = shutil.which("nvidia-smi")
    if n_files or tool is None:
        return n_files
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def least_loaded(names: Sequence[str], taken: Mapping[str, int], n: int) -> list[str]:
    """Return the ``n`` names that fewest trials have taken, the first ones among equals.

    >>> least_loaded(["0", "1", "2"], {"0": 1, "1": 2}, 2)
    ['2', '0']
    """
    return sorted(names, key=lambda name: taken.get(name, 0))[:n]


def default_workers(trainers: Sequence[TrainerConfig], *, per_gpu: int = 1) -> int:
    """Return how many trials this machine can train at once: one for each GPU that is used.

    Without GPUs, cores / threads; a trial of several processes takes as many times as much.

    Args:
        trainers: of the study.
        per_gpu: how many trials fit on a GPU together; not more than cores are started.
    """
    n_gpus = len(gpus_for(trainers))
    processes = max(trainer.processes for trainer in trainers)
    threads = max(trainer.threads * trainer.processes for trainer in trainers)
    n_cpus = max((os.cpu_count() or 1) // threads, 1)
    if not n_gpus:
        return n_cpus
    if processes > 1:
        return max(n_gpus // processes, 1)
    return max(n_gpus, min(n_gpus * per_gpu, n_cpus))


def refuse_processes(
    trainers: Iterable[TrainerConfig], gpus: Sequence[str], *, workers: int
) -> None:
    """Check that trials of several processes can be started here.

    Args:
        trainers: of the study.
        gpus: which its trials share.
        workers: how many trials are trained at once; 0 is in this process.

    Raises:
        UsageError: if there are no workers, or fewer GPUs than processes of a trial: two processes
            of one trial cannot use the same.
    """
    most = max(trainer.processes for trainer in trainers)
    if most > 1 and not workers:
        what = f"{most} processes of a trial cannot be this one"
        raise UsageError("trainer.processes", what, "use workers, or remove this setting")
    if gpus and most > len(gpus):
        what = f"{most} processes need as many GPUs, and {len(gpus)} can be used"
        raise UsageError("trainer.processes", what, "lower it, or set trainer.accelerator: cpu")


def _torch_is_for_cpus() -> bool:
    """Return whether the installed torch was built without CUDA, as its version says."""
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
