"""What a record says of the machine and the installed packages; no host, no user, no path."""

import hashlib
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_KERNELS = ("avx", "fma", "f16c", "sse4", "amx", "asimd", "sve", "bf16", "i8mm")
NAMED = ("torch", "pytorch-lightning", "optuna", "numpy", "pandas", "scikit-learn", "hpo")


def freeze() -> str:
    """Return every installed distribution with its version, one a line, sorted."""
    described = (one.metadata for one in metadata.distributions())  # read and parsed each time
    found = {f"{one['Name']}=={one['Version']}" for one in described if one["Name"]}
    return "".join(f"{line}\n" for line in sorted(found, key=str.lower))


def describe(
    *, device: str, threads: int, freeze_text: str, git: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the ``environment`` section of a best config; ``git`` is from `git_state`."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system().lower()}-{platform.machine()}",
        "cpu": _cpu(),
        "cpu_features": cpu_features(),
        "threads": threads,
        "device": device,
        "packages": {name: version for name in NAMED if (version := version_of(name))},
        "freeze_file": "environment.txt",
        "freeze_sha256": hashlib.sha256(freeze_text.encode()).hexdigest(),
        "git": git,
    }


@cache
def version_of(name: str) -> str | None:
    """Return the version of an installed package; None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str | None:
    return _cpuinfo("model name") or platform.processor() or None


def cpu_features() -> list[str] | None:
    """Return the processor's instructions by which kernels are chosen; None if nobody says."""
    named = _cpuinfo("flags") or _cpuinfo("Features")  # of x86 and of ARM
    if named is None:
        return None
    return sorted(name for name in set(named.split()) if name.startswith(_KERNELS))


@cache
def _cpuinfo(key: str) -> str | None:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return None
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def git_state() -> dict[str, Any] | None:
    """Return commit and state of the repository we stand in, None outside of one."""
    try:
        commit = _git_answer("rev-parse", "HEAD")
        dirty = bool(_git_answer("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": dirty}


def _git_answer(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
